"""Sphinx configuration. The API reference is pydoctor's: see script/docs."""

import re
from pathlib import Path

HERE = Path(__file__).parent
INIT = (HERE.parent / "txcoap" / "__init__.py").read_text(encoding="utf-8")

project = "txcoap"
author = "the txcoap authors"
copyright = "the txcoap authors"
release = re.search(r'^__version__ = "(.+)"', INIT, re.MULTILINE)[1]  # type: ignore[index]
version = release

extensions = ["sphinx.ext.intersphinx"]
# :py:class:`~txcoap.client.Agent` links into the reference that pydoctor has just written.
intersphinx_mapping = {"txcoap": ("api/", str(HERE / "_build" / "html" / "api" / "objects.inv"))}
nitpicky = True
default_role = "any"

exclude_patterns = ["_build"]
# Blocks after :: are mostly shell, and Python says so.
highlight_language = "none"
html_theme = "furo"
html_title = f"txcoap {release}"
html_copy_source = False
