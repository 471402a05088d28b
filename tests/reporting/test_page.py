"""The page of runs: every section, all text escaped, nothing from outside, and a failed figure as a note."""

import re
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from qtomo import RecordFile, Run, evaluate, train, write_records
from qtomo.errors import Code
from qtomo.evaluation.judging import Judging
from qtomo.reporting.layout import Page, Section, draw, render
from qtomo.reporting.page import page_of, report
from tests.conftest import SMALL
from tests.refusing import refused

SECTIONS = [
    "verdict", "measured", "trained", "training", "distance", "correlations", "map", "calibration", "two-sample",
    "certificates", "again",
]  # fmt: skip
HOSTILE = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Names and attributes of all elements, and the text of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names, self.ids, self.attributes, self.words = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.ids.extend(value for name, value in attrs if name == "id")
        self.attributes.extend(attrs)

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def run(small_run, small_records, tmp_path_factory):
    """The small run in a folder of its own, evaluated."""
    folder = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(small_run.folder.path, folder)
    found = Run(folder)
    evaluate(found, records=small_records, samples=500)
    return found


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "report.html"
    report([run.folder.path], path, samples=500)
    return path.read_text(encoding="utf-8")


def test_a_page_has_all_sections_and_needs_nothing_else(page):
    tags = Tags(page)
    assert [key for key in tags.ids if key in SECTIONS] == SECTIONS
    assert page.count("<svg") == 5
    assert "could not be drawn" not in page
    assert len(page) < 3e6
    assert "script" not in tags.names
    assert len(tags.ids) == len(set(tags.ids))
    for name, value in tags.attributes:
        if name in ("href", "src", "xlink:href"):
            assert value.startswith(("#", "data:"))
        assert not name.startswith("on")
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_the_same_run_gives_the_same_bytes(run, page, tmp_path):
    report([run.folder.path], tmp_path / "again.html", samples=500)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_the_page_says_what_the_evaluation_found(run, page):
    words = Tags(page).words
    evaluation = evaluate(run, samples=500, save=False)
    assert all(claim in words for claim in evaluation.claims)
    assert str(evaluation.divergences["gru"]["kl_target_model"]) in words
    assert run.config.records.sha256 in words


def test_text_from_outside_stays_text(run, small_records, tmp_path):
    folder = tmp_path / f"{HOSTILE.replace('/', '.')} $x_$"
    shutil.copytree(run.folder.path, folder)
    other = tmp_path / "other"
    shutil.copytree(run.folder.path, other)
    report([folder, other], tmp_path / "a.html", records=small_records, samples=500)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    tags = Tags(page)
    assert "script" not in tags.names
    assert folder.name in tags.words
    assert "could not be drawn" not in page
    assert page.count("<svg") == 2 + 2 * 3


def test_a_run_without_a_target_says_what_is_not_known(small_records, tmp_path):
    with RecordFile(small_records) as file:
        path = write_records(tmp_path / "lab.h5", [file.load()], 5, file.povm)
    train(path, tmp_path / "run", SMALL)
    found = page_of([tmp_path / "run"], how=Judging(samples=500))
    assert not [drawing.failure for drawing in found.drawings() if drawing.failure]
    words = Tags(render(found)).words
    assert "No verdict on the state" in words
    assert "No divergence from a target" in words


def test_records_that_are_gone_are_said_to_be(run, tmp_path):
    shutil.copytree(run.folder.path, tmp_path / "away" / "from" / "records")
    words = Tags(render(page_of([tmp_path / "away" / "from" / "records"], how=Judging(samples=500)))).words
    assert "cannot be read now" in words
    assert f"{run.config.records.n_records:,} of 5 qubits" in words


def test_a_failed_figure_is_a_note_in_its_place():
    def fails():
        raise RuntimeError(f"no ink {HOSTILE}")

    drawing = draw("broken", "What it shows.", fails)
    page = render(Page("a", "b", [Section("part", "Part", [drawing])]))
    assert "no ink &lt;script&gt;" in page
    assert "What it shows." in page


@pytest.mark.slow
def test_figures_for_papers(run, tmp_path):
    page = report([run.folder.path], tmp_path / "a.html", samples=500, figure_format="pdf")
    files = sorted((tmp_path / "a-figures").iterdir())
    assert [file.stem for file in files] == sorted(drawing.name for drawing in page.drawings())
    assert all(file.read_bytes().startswith(b"%PDF") for file in files)


def test_what_is_refused(run, tmp_path):
    with refused(Code.CONFLICT):
        page_of([run.folder.path, run.folder.path])
    with refused(Code.TOO_FEW):
        page_of([])
    (tmp_path / "there.html").write_text("mine")
    with refused(Code.EXISTS):
        report([run.folder.path], tmp_path / "there.html")
    (tmp_path / "b-figures").write_text("mine")
    with refused(Code.KIND):
        report([run.folder.path], tmp_path / "b.html", figure_format="svg")
    with refused(Code.UNKNOWN, "'gif'"):
        report([run.folder.path], tmp_path / "a.html", figure_format="gif")
    assert (tmp_path / "there.html").read_text() == "mine"


def test_what_a_page_is_made_of_comes_with_the_package():
    root = Path(__file__).parents[2]
    declared = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    everywhere = {path for glob in declared.pop("*") for path in (root / "qtomo").rglob(glob)}
    named = everywhere | {
        path for name, globs in declared.items() for g in globs for path in (root / name.replace(".", "/")).glob(g)
    }
    data = {path for path in (root / "qtomo").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert data == named
