"""What an unknown file may be: each format looks at its beginning and says whether it can read it, and how surely."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import h5py

from qtomo.records.file.hdf5 import CheckedFile
from qtomo.records.importers.base import Imported, load_json
from qtomo.worded import Worded

__all__ = ["OUTCOMES", "SETTINGS", "Claim", "Head", "Sure", "called", "claim_of", "first_of", "keys", "recognised_by"]

_START = 2**16  # bytes that a text is recognised by
_MOST_DATASETS = 1000

#: What datasets and arrays of outcomes and of bases are called.
OUTCOMES = r"(^|/)(outcomes?|bits?|bitstrings?|samples?|shots|measurements?|results?)$"
SETTINGS = r"(^|/)(settings?|bas[ie]s)$"

Read = TypeVar("Read", bound=Callable[..., Imported])


class Sure(Worded):
    """How surely a file is of a format."""

    CERTAIN = "certain", "certain: nothing else looks so"
    LIKELY = "likely", "likely, by its shape"
    POSSIBLE = "possible", "possible"

    @property
    def rank(self) -> int:
        """0 for the surest."""
        return list(Sure).index(self)


@dataclass(frozen=True)
class Claim:
    """What a format takes a file for.

    Args:
        sure: how surely.
        reading: what it is, in words.
    """

    sure: Sure
    reading: str


class Head:
    """What a file shows of itself before it is read: its first text, its JSON, its datasets or its arrays.

    Args:
        path: a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def lines(self) -> list[str]:
        """Its first lines that hold something; none where it is no text."""
        with self.path.open("rb") as file:
            start = file.read(_START)
        try:
            text = start.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if error.start < len(start) - 4 or error.start == 0:
                return []
            text = start[: error.start].decode("utf-8-sig")
        if "\0" in text:
            return []
        lines = text.split("\n")
        whole = lines if len(start) < _START else lines[:-1] or lines
        return [line.strip() for line in whole if line.strip()]

    @cached_property
    def json(self) -> Any:
        """What a file of JSON holds; None for any other.

        Raises:
            InputError: text that begins as JSON does and is none, or is too large.
        """
        return load_json(self.path, "JSON of measurement records") if self._may_be_json else None

    @property
    def _may_be_json(self) -> bool:
        return bool(self.lines) and (self.lines[0].startswith("{") or self._is_list)

    @property
    def _is_list(self) -> bool:
        return self.lines[0].startswith("[")

    @cached_property
    def datasets(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and kind of type of each dataset of an HDF5 file, by name; none for any other file.

        Raises:
            InputError: a damaged file, or one that another program has open.
        """
        if not h5py.is_hdf5(self.path):
            return {}
        found: dict[str, tuple[tuple[int, ...], str]] = {}
        with CheckedFile(self.path, "file of measurement records", None) as file:

            def add(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and item.shape is not None and len(found) < _MOST_DATASETS:
                    found[name] = tuple(item.shape), item.dtype.kind

            file.visit(add)
        return found

    @cached_property
    def arrays(self) -> list[str]:
        """Names of the arrays of a .npz archive; none for any other file."""
        if not zipfile.is_zipfile(self.path):
            return []
        try:
            with zipfile.ZipFile(self.path) as archive:
                return [member.removesuffix(".npy") for member in archive.namelist()]
        except (OSError, zipfile.BadZipFile):
            return []

    @cached_property
    def is_array(self) -> bool:
        """Whether it is a .npy file."""
        with self.path.open("rb") as file:
            return file.read(6) == b"\x93NUMPY"


_CLAIMS: dict[Callable[..., Imported], Callable[[Head], Claim | None]] = {}


def recognised_by(claim: Callable[[Head], Claim | None]) -> Callable[[Read], Read]:
    """A format's function with what recognises its files: None for a file that is none of its own."""

    def noted(read: Read) -> Read:
        _CLAIMS[read] = claim
        return read

    return noted


def claim_of(read: Callable[..., Imported], head: Head) -> Claim | None:
    """What a format takes a file for."""
    claim = _CLAIMS.get(read)
    return None if claim is None else claim(head)


def called(names: Iterable[str], pattern: str) -> list[str]:
    """Those that are called so."""
    return [name for name in names if re.search(pattern, name, re.I)]


def keys(content: Any) -> Mapping[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return content if isinstance(content, dict) else {}


def first_of(content: Any) -> Any:
    """The first entry of a JSON list; None for anything else."""
    return content[0] if isinstance(content, list) and content else None
