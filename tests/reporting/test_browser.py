"""Reports in a real browser: every section, nothing too wide, no message, nothing fetched, all text escaped."""

import shutil

import pytest

from qtomo import TFIM, simulate
from qtomo.reporting.page import report
from qtomo.verification.pipeline import verification_path, verify
from tests.reporting import test_page, test_verification_page
from tests.reporting.browser import Browser, find_browser
from tests.reporting.test_page import HOSTILE

MESSAGES = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

#: Elements that reach out of the window although nothing around them scrolls, and letters cut off by their figure.
TOO_WIDE = """[...document.body.querySelectorAll('*')].filter(e => !e.closest('.scroll, pre, svg')
  && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"""
CUT_OFF = """[...document.querySelectorAll('svg')].flatMap(s => [...s.querySelectorAll('text')].filter(t => {
  const a = s.getBoundingClientRect(), b = t.getBoundingClientRect();
  return b.left < a.left - 1 || b.right > a.right + 1 || b.top < a.top - 1 || b.bottom > a.bottom + 1;
}).map(t => t.textContent))"""
SECTIONS = "[...document.querySelectorAll('main > section')].map(s => [s.id, s.getBoundingClientRect().height > 30])"
COLOURS = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('svg text')).fill]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    found = Browser(path, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(small_run, small_records, tmp_path_factory):
    """Pages by name: of a run, of two runs side by side, and of faulty records, all with a hostile name."""
    folder = tmp_path_factory.mktemp("pages")
    run = folder / HOSTILE.replace("/", ".")
    shutil.copytree(small_run.folder.path, run)
    shutil.copytree(small_run.folder.path, folder / "other")
    records = folder / f"{HOSTILE.replace('/', '.')}.h5"
    simulate(TFIM(5), 1000, records, povm="pauli6", noise=["depolarizing:0.3@1"], declared=False, settings="random")
    verify(records, alternative="none", n_reference=1000, command=f"qtomo verify '{records.name}'")
    sources = {"run": [run], "runs": [run, folder / "other"], "verification": [verification_path(records)]}
    for name, given in sources.items():
        report(given, folder / f"{name}.html", records=small_records if name != "verification" else None, samples=300)
    return folder


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", ["run", "runs", "verification"])
def test_a_page(browser, pages, name, width):
    browser.open(pages / f"{name}.html", width)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(TOO_WIDE) == []
    assert browser.run(CUT_OFF) == []
    expected = (test_verification_page if name == "verification" else test_page).SECTIONS
    assert browser.run(SECTIONS) == [[key, True] for key in expected]
    assert HOSTILE.replace("/", ".") in browser.run("document.body.textContent")
    assert browser.run("document.scripts.length") == 0
    assert [event for event in browser.seen if event["method"] in MESSAGES] == []
    asked = [e["params"]["request"]["url"] for e in browser.seen if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [(pages / f"{name}.html").as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_reader_into_the_dark(browser, pages, scheme):
    browser.open(pages / "run.html", 1280, scheme)
    paper, ink = (sum(map(int, colour[4:-1].split(","))) for colour in browser.run(COLOURS))
    assert (paper < 200 and ink > 500) if scheme == "dark" else (paper > 700 and ink < 200)


def test_the_checks_can_fail(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><link rel=icon href='data:,'><body><main><section id=a><p style='width:2000px'>wide</p>"
        "<svg width=10 height=10 style='overflow:visible'><text x=0 y=9>long letters</text></svg></section></main>"
        "<script>console.log('x')</script><img src='http://127.0.0.1:9/none.png'>"
    )
    browser.open(page, 360)
    assert browser.run(TOO_WIDE)
    assert browser.run(CUT_OFF) == ["long letters"]
    assert browser.run("document.documentElement.scrollWidth") > 360
    assert browser.run("document.scripts.length") == 1
    assert any(event["method"] == "Runtime.consoleAPICalled" for event in browser.seen)
    asked = [e["params"]["request"]["url"] for e in browser.seen if e["method"] == "Network.requestWillBeSent"]
    assert "http://127.0.0.1:9/none.png" in asked
