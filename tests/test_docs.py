"""Pages lead where they say, their commands are understood, and the API page has every name of the front door."""

import argparse
import inspect
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

import qtomo

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md", "notebooks/README.md")] + sorted(
    ROOT.glob("docs/**/*.md")
)


#: Commands that make the figures of the documents; hours of them, so that tests only read them as the scripts do.
MEASURED = sorted(
    {
        " ".join(found.split())
        for page in PAGES
        for found in re.findall(
            r"^ {4,}(?:\w+=\w+ )*python (benchmarks/.*)$|`(?:\w+=\w+ )*python (benchmarks/[^`]*)`",
            page.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        for found in found
        if found and not re.search(r"…|\b[A-Z]+\b", found)  # placeholders
    }
)


class Understood(Exception):
    """The script has read its arguments."""


def anchors(page):
    """Names of headings, as GitHub and myst make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {target}"


def test_the_api_page_has_every_public_name():
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"auto(?:function|class|exception):: qtomo\.(\w+)$", page, re.MULTILINE))
    assert shown == set(qtomo.__all__)


@pytest.mark.parametrize("name", qtomo.__all__)
def test_every_public_name_has_an_example_that_runs(name):
    text = inspect.getdoc(getattr(qtomo, name)) or ""
    assert ">>> " in text
    assert "+SKIP" not in text


def test_every_page_is_in_a_table_of_contents():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in ROOT.glob("docs/**/*.md")} - {"index"}
    assert pages <= set(index.split())


@pytest.mark.parametrize("command", MEASURED)
def test_commands_that_measure_are_understood(command, monkeypatch):
    script, *arguments = shlex.split(command)
    parse = argparse.ArgumentParser.parse_args

    def stop(*_):
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda *given: stop(parse(*given)))
    monkeypatch.setattr(click.Command, "invoke", stop)
    monkeypatch.setattr("sys.argv", [script, *arguments])
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    with pytest.raises(Understood):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def test_there_are_commands_that_measure():
    assert len(MEASURED) > 20
