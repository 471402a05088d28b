"""The parts that a page is made of, and how they become HTML: text is escaped, a failed figure leaves a note."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from qtomo.observables.certificates.base import Certificate
from qtomo.reporting.style import svg
from qtomo.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Block", "Commands", "Drawing", "Facts", "Page", "Section", "Side", "Table", "Verdict", "Words",
    "anchor", "certificate_blocks", "draw", "render",
]  # fmt: skip


_LOG = logging.getLogger(__name__)
_LONG = 48  # letters from which a cell of a table breaks its lines


#: Good news, bad news, or neither.
Tone = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Verdict:
    """What is answered, in a word, and what it rests on.

    Args:
        tone: whether that is good news, bad news, or neither.
        headline: the answer.
        claims: sentences.
    """

    tone: Tone
    headline: str
    claims: Sequence[str]


@dataclass(frozen=True)
class Words:
    """Sentences, as a list where there are several."""

    sentences: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Commands:
    """Lines to type in a shell."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Drawing:
    """A figure, or why there is none.

    Args:
        name: in lower case with hyphens, its own in the page.
        caption: what it shows, and how its error bars were made.
        figure: as matplotlib has it; None where it failed.
        markup: as SVG; empty where it failed.
        failure: why it failed.
    """

    name: str
    caption: str
    figure: Figure | None
    markup: str
    failure: str = ""


@dataclass(frozen=True)
class Side:
    """Parts side by side where there is room, each under a heading of its own."""

    parts: Sequence[tuple[str, Sequence[Block]]]


Block = Verdict | Words | Facts | Commands | Drawing | Side | Table


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Args:
        key: its anchor, in lower case with hyphens.
        title: the heading.
        blocks: what stands under it.
    """

    key: str
    title: str
    blocks: Sequence[Block]

    def drawings(self) -> list[Drawing]:
        """All figures, those side by side among them."""
        inside = [b for block in self.blocks if isinstance(block, Side) for _, part in block.parts for b in part]
        return [block for block in [*self.blocks, *inside] if isinstance(block, Drawing)]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Args:
        title: of the page.
        subtitle: a line under it.
        sections: in their order, the verdict first.
        creator: program and version.
    """

    title: str
    subtitle: str
    sections: Sequence[Section] = field(default_factory=list)
    creator: str = ""

    def drawings(self) -> list[Drawing]:
        """All figures of the page."""
        return [drawing for section in self.sections for drawing in section.drawings()]


def draw(name: str, caption: str, make: Callable[[], Figure]) -> Drawing:
    """The figure that `make` draws; where it fails for any reason, the reason."""
    try:
        figure = make()
        return Drawing(name, caption, figure, svg(figure, name))
    except Exception as error:  # a page without one of its figures is better than none
        why = f"{type(error).__name__}: {error}".rstrip(": ")
        _LOG.warning("figure %s could not be drawn: %s", name, why)
        return Drawing(name, caption, None, "", why)


def certificate_blocks(certificates: Sequence[Certificate]) -> list[Block]:
    """Bounds side by side, each with what it says and what it rests on."""
    if not certificates:
        return [Words(["Nothing is certified: no bound is known for this state and measurement."])]
    parts: list[tuple[str, Sequence[Block]]] = []
    for one in certificates:
        words = [Words([f"{_sentence(one.says)} (confidence {one.level:.0%})."]), Words(["It rests on:"])]
        parts.append((_sentence(one.name), [*words, Words(list(one.assumptions))]))
    return [Side(parts)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def anchor(text: str) -> str:
    """Text as part of an identifier: letters, digits and hyphens alone.

    >>> anchor("../my run (2)")
    'my-run-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


def render(page: Page) -> str:
    """The page as one HTML document that needs nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("qtomo.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["sides"] = _sides
    environment.tests["long"] = lambda cell: len(cell) > _LONG
    environment.filters["svg"] = lambda drawing: Markup(drawing.markup)  # matplotlib has escaped its text
    text = environment.get_template("report.html").render(page=page)
    return text.encode("utf-8", "replace").decode()  # JSON may hold what UTF-8 cannot


def _sides(table: Table) -> list[str]:
    """The class of each column: words, which stand on the left, or none for numbers, which stand on the right."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.headings)
    return ["words" if any(re.match(r"[^\d\W]", cell) for cell in column) else "" for column in columns]
