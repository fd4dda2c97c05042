"""The C{twistd coap} plugin: found, cheap to list, harmless to Twisted."""

import ast
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "twisted" / "plugins" / "txcoap_plugin.py"


class PluginTests(SynchronousTestCase):
    """The plugin as Twisted sees it, and as it lies in the tree."""

    def test_listed(self) -> None:
        """C{twistd} offers exactly one command C{coap}, and it is made by C{txcoap.tap}."""
        makers = [each for each in getPlugins(IServiceMaker) if each.tapname == "coap"]
        self.assertEqual([getattr(each, "module", None) for each in makers], ["txcoap.tap"])

    def test_importsLittle(self) -> None:
        """It imports nothing but ServiceMaker: every start of C{twistd} and C{trial} imports it."""
        tree = ast.parse(PLUGIN.read_text(encoding="utf-8"))
        imports = [
            ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        self.assertEqual(imports, ["from twisted.application.service import ServiceMaker"])

    def test_nameStays(self) -> None:
        """The variable is C{txcoap}: plugin caches of earlier versions name it."""
        tree = ast.parse(PLUGIN.read_text(encoding="utf-8"))
        names = [ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]
        self.assertEqual(names, ["txcoap"])

    def test_noInitUnderTwisted(self) -> None:
        """No C{__init__.py} lies under C{twisted}, where it would overwrite Twisted's own."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])
