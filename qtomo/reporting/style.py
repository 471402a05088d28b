"""What every figure shares: its palette, its size and letters, and how it becomes a file or part of a page."""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.files import write_atomic
from qtomo.statistics.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "figure_kind", "new_figure", "plain", "reaches", "save_figure", "svg"]

#: Okabe and Ito's colours, safe for the colour-blind; markers and line styles tell the same without colour.
INK, BLUE, ORANGE, VERMILION = "#000000", "#0072B2", "#E69F00", "#D55E00"
GREEN, PURPLE, SKY = "#009E73", "#CC79A7", "#56B4E9"
GREY, PAPER = "#7F7F7F", "#FFFFFF"

#: Of series side by side: a colour, a marker and a line style each.
STYLES: list[tuple[str, str, Any]] = [
    (BLUE, "o", "-"),
    (VERMILION, "s", "--"),
    (GREEN, "D", ":"),
    (PURPLE, "^", "-."),
    (ORANGE, "v", (0, (5, 1, 1, 1, 1, 1))),
    (SKY, "P", (0, (1, 1))),
]

#: Kinds of file that a figure is saved as.
FORMATS = ("pdf", "png", "svg")

# Colours that the style sheet of a page decides, so that figures follow it into the dark.
_IN_PAGE = {INK: "currentColor", PAPER: "var(--paper)", BLUE: "var(--blue)", VERMILION: "var(--vermilion)"}

_LETTERS: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # letters stay letters: found, read aloud, a tenth of the size
    "pdf.fonttype": 42,
}
#: No time in a file, so that the same numbers give the same bytes.
_METADATA: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, of inches, that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure_class()(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@functools.cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure that a notebook shows without further ado."""

        def _repr_png_(self) -> bytes:
            return _rendered(self, "png")

    return Shown


@contextmanager
def letters() -> Iterator[None]:
    """The house style, while the block runs."""
    import matplotlib as mpl

    with mpl.rc_context(_LETTERS):
        yield


def plain(text: str) -> str:
    """Text from outside as matplotlib shows it letter by letter, no part of it read as mathematics."""
    return text.replace("$", r"\$")


def reaches(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """How far intervals reach below and above their values, (2, estimates): what error bars are drawn from."""
    return np.array([[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]])


def figure_kind(path: Path) -> str:
    """The kind of figure that a file's name asks for.

    Raises:
        InputError: none that is known.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        endings = ", ".join("." + name for name in FORMATS)
        raise InputError(
            Code.UNKNOWN, f"{path}: ends with '{path.suffix}', expected a figure's name to end with {endings}"
        )
    return kind


def save_figure(figure: Figure, path: Path) -> None:
    """The figure as the file's name says (.pdf, .png or .svg), whole or not at all.

    Raises:
        InputError: another ending, or the file cannot be written.
    """
    write_atomic(path, _rendered(figure, figure_kind(path)))


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element of a page, its identifiers made the page's own by this name."""
    text = _rendered(figure, "svg", transparent=True, salt=name).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|xlink:href=")#', rf"\1#{name}-", text)
    for colour, meaning in _IN_PAGE.items():
        text = re.sub(colour, meaning, text, flags=re.IGNORECASE)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r'<svg role="img" \1', text, count=1)


def _rendered(figure: Figure, kind: str, transparent: bool = False, salt: str = "qtomo") -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({**_LETTERS, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's own letters may have it
        figure.draw_without_rendering()  # ticks move with the layout, and the layout with them: once is not enough
        figure.savefig(buffer, dpi=150, format=kind, transparent=transparent, metadata=_METADATA[kind])
    return buffer.getvalue()
