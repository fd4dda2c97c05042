"""
Prove the packaging: what the wheel and the sdist hold, and that installing and uninstalling them
gives and takes C{twistd coap} without touching Twisted.

    python .ci/packaging.py          from a checkout, with `build` and `docutils` installed
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from configparser import ConfigParser
from email import message_from_bytes
from io import StringIO
from pathlib import Path

from docutils.core import publish_string

ROOT = Path(__file__).resolve().parent.parent

PLUGIN = "twisted/plugins/txcoap_plugin.py"
IN_WHEEL = {PLUGIN, "txcoap/__init__.py", "txcoap/py.typed", "txcoap/sansio/__init__.py"}
IN_SDIST = IN_WHEEL | {
    "LICENSE",
    "README.rst",
    "NEWS.rst",
    "CONTRIBUTING.rst",
    "script/test",
    "script/serve",
    ".ci/run",
    "tests/test_architecture.py",
    "examples/demo.py",
    "examples/live.html",
    "examples/systemd/coap.service",
    "docs/index.rst",
    "docs/txcoap.1",
    "newsfragments/README.rst",
}
# What a wheel says of itself, beside its version.
METADATA = {
    "Name": "txcoap",
    "Requires-Python": ">=3.10",
    "Description-Content-Type": "text/x-rst",
    "License-File": "LICENSE",
}
# A program in completion's script that shows it was written whole.
COMPLETES = "_shtab_txcoap"
MANUAL = ".data/data/share/man/man1/txcoap.1"
# Where a wheel of this project may put files.
TOP_LEVEL = {"txcoap", "twisted"}


class Wrong(Exception):
    """The packaging is not as it must be; the argument says how."""


def demand(condition: object, complaint: str) -> None:
    """Raise L{Wrong} unless the condition holds."""
    if not condition:
        raise Wrong(complaint)


def call(*command: object, cwd: Path | str = "/", status: int | None = 0) -> str:
    """Run a command away from the checkout; its output. A status other than the given is wrong."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    demand(
        status is None or result.returncode == status,
        f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}",
    )
    return result.stdout


def build(target: Path) -> tuple[Path, Path]:
    """
    The wheel and the sdist.

    The wheel is made from the unpacked sdist, which shows that this lacks nothing; and from a
    clean copy of what git knows, so that nothing else in the checkout slips in.
    """
    source = target / "source"
    files = call("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, files):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    call(sys.executable, "-m", "build", "--outdir", target, source)
    [wheel], [sdist] = target.glob("*.whl"), target.glob("*.tar.gz")
    return wheel, sdist


def checkContents(wheel: Path, sdist: Path) -> None:
    """Nothing is missing, and nothing of Twisted's is overwritten."""
    with zipfile.ZipFile(wheel) as archive:
        inWheel = set(archive.namelist())
    demand(inWheel >= IN_WHEEL, f"the wheel lacks {sorted(IN_WHEEL - inWheel)}")
    inTwisted = {name for name in inWheel if name.startswith("twisted/")}
    demand(inTwisted == {PLUGIN}, f"the wheel puts into Twisted {sorted(inTwisted - {PLUGIN})}")
    demand(any(name.endswith(MANUAL) for name in inWheel), "the wheel lacks the manual page")
    tops = {name.split("/")[0] for name in inWheel if ".dist-info/" not in name and ".data/" not in name}
    demand(tops == TOP_LEVEL, f"the wheel installs at top level {sorted(tops - TOP_LEVEL)}")
    checkMetadata(wheel)

    with tarfile.open(sdist) as archive:
        inSdist = {name.partition("/")[2] for name in archive.getnames()}
    demand(inSdist >= IN_SDIST, f"the sdist lacks {sorted(IN_SDIST - inSdist)}")
    for name in inWheel | inSdist:
        demand("dropin.cache" not in name and "_trial_temp" not in name, f"{name} is packed")


def version() -> str:
    """The version, from the one place that has it."""
    found = re.search(r'^__version__ = "(.+)"', (ROOT / "txcoap/__init__.py").read_text(), re.MULTILINE)
    demand(found, "txcoap/__init__.py has no __version__")
    assert found is not None
    return found[1]


def checkMetadata(wheel: Path) -> None:
    """The wheel says of itself what it should, in a description that an index can show."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    for field, value in {**METADATA, "Version": version()}.items():
        demand(metadata[field] == value, f"the wheel's {field} is {metadata[field]!r}, not {value!r}")
    license = metadata["License-Expression"] or metadata["License"]
    demand(license == "MIT", f"the wheel's licence is {license!r}, not 'MIT'")
    extras = set(metadata.get_all("Provides-Extra", []))
    meant = ConfigParser()
    meant.read(ROOT / "setup.cfg")
    named = set(meant["options.extras_require"])
    demand(extras == named, f"the wheel's extras are {sorted(extras)}, not {sorted(named)}")
    for word in ("Framework :: Twisted", "Typing :: Typed", "Programming Language :: Python :: 3.10"):
        demand(word in metadata.get_all("Classifier", []), f"the wheel is not classified as {word}")
    complaints = StringIO()
    settings = {"warning_stream": complaints, "report_level": 1}
    publish_string(metadata.get_payload(), writer_name="null", settings_overrides=settings)
    demand(not complaints.getvalue(), f"the README is not in order:\n{complaints.getvalue()}")


def fingerprint(python: Path) -> str:
    """Where Twisted is and what files it has, as far as a plugin of another could touch them."""
    return call(
        python,
        "-c",
        "import twisted, twisted.plugins, pathlib;"
        "root = pathlib.Path(twisted.__file__).parent;"
        "print(twisted.__file__, twisted.__version__, twisted.plugins.__file__);"
        "print(*sorted((p.name, p.stat().st_size) for d in (root, root / 'plugins')"
        " for p in d.glob('*.py') if p.name != 'txcoap_plugin.py'))",
    )


def tryInstall(place: Path, what: Iterable[object], kind: str) -> None:
    """Install in a new environment; there must be `twistd coap`, and after uninstalling not."""
    venv.create(place, with_pip=True)
    python, twistd = place / "bin" / "python", place / "bin" / "twistd"
    pip = (python, "-m", "pip", "-qq", "--disable-pip-version-check")
    call(*pip, "install", "twisted")
    before = fingerprint(python)
    call(*pip, "install", *what)
    listing = call(twistd, "--help")
    demand("A CoAP server." in listing, f"{kind}: twistd --help lists no coap:\n{listing}")
    usage = call(twistd, "coap", "--help")
    demand("--listen" in usage, f"{kind}: twistd coap --help says nothing of --listen:\n{usage}")
    call(place / "bin" / "twist", "coap", "--help")
    call(place / "bin" / "txcoap", "--help")
    for command in ((place / "bin" / "txcoap",), (twistd, "coap"), (python, "-m", "txcoap")):
        told = call(*command, "--version").strip()
        demand(told == f"txcoap {version()}", f"{kind}: {command[-1]} --version says {told!r}")
    call(*pip, "check")
    call(*pip, "uninstall", "--yes", "txcoap")
    demand(fingerprint(python) == before, f"{kind}: uninstalling it changed Twisted")
    listing = call(twistd, "--help")
    demand("A CoAP server." not in listing, f"{kind}: uninstalled, it is still listed")


def tryExtra(place: Path, wheel: Path) -> None:
    """The extra of the command line brings all that the command line wants."""
    venv.create(place, with_pip=True)
    python, txcoap = place / "bin" / "python", place / "bin" / "txcoap"
    call(python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", f"{wheel}[cli]")
    call(python, "-W", "error", "-c", "import cbor2, prompt_toolkit, rich, shtab, sparklines, txcoap.cli")
    script = call(txcoap, "completion", "bash")
    demand(COMPLETES in script, f"with [cli], completion gives no script:\n{script}")


def main() -> None:
    """Run every proof; exit with a message at the first that fails."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        try:
            wheel, sdist = build(scratch)
            checkContents(wheel, sdist)
            tryInstall(scratch / "wheel", [wheel], "wheel")
            tryExtra(scratch / "extra", wheel)
            tryInstall(scratch / "editable", ["--editable", scratch / "source"], "editable install")
        except Wrong as problem:
            sys.exit(f"packaging: {problem}")
    print("packaging: wheel, sdist and editable install are as they should be")


if __name__ == "__main__":
    main()
