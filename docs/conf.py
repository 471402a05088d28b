"""Sphinx: the pages beside this file, the command reference from click, the API from docstrings."""

import re
from typing import Any

import qtomo

project = "qtomo"
author = "the qtomo developers"
release = qtomo.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
html_title = f"qtomo {release}"
exclude_patterns = ["build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the source that are no pages: README, notebooks, data

autodoc_typehints = "none"  # signatures carry them
autodoc_member_order = "bysource"
napoleon_use_rtype = False


def _as_written(app: Any, ctx: Any, lines: list[str]) -> None:
    """Examples of a command's help as code, and no bar as a substitution."""
    for number, line in enumerate(lines):
        if line.startswith("Example: "):
            lines[number] = re.sub(r"^Example: (.*)$", r"Example: ``\1``", line)
        elif not line.lstrip().startswith(".. "):
            lines[number] = re.sub(r"(?<!\\)\|", r"\\|", line)


def _plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are prose that a terminal shows too: no name in them is a reference, and no ``|`` a substitution."""
    lines[:] = [re.sub(r"(?<![`\\])([|*])", r"\\\1", line) if "``" not in line else line for line in lines]


def setup(app: Any) -> None:
    """Hook into reading of docstrings."""
    for part in ("description", "options", "arguments", "epilog"):
        app.connect(f"sphinx-click-process-{part}", _as_written)
    app.connect("autodoc-process-docstring", _plain)
