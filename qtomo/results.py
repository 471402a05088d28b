"""Results of every kind as JSON files: one way to write them, and one reader, which trusts no file.

A result is a frozen dataclass. Its fields are the layout of its file. A file's values are checked against the fields'
types, and against each other in `__post_init__`, as they are wherever a result is made. Infinities and NaN are the
texts "Infinity", "-Infinity" and "NaN", arrays are lists, enumerations their values.
"""

from __future__ import annotations

import importlib
import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)
from pydantic_core import ErrorDetails, core_schema

from qtomo.errors import Code, InputError
from qtomo.files import check_absent, write_atomic
from qtomo.table import Table, as_text
from qtomo.version import __version__

__all__ = [
    "KINDS",
    "Level",
    "Matrix",
    "Probability",
    "Real",
    "Result",
    "Sha256",
    "Unsaved",
    "plain",
    "read_result",
    "stating",
]

_LARGEST_FILE = 64 * 2**20
_LARGEST_INT = 2**63
_ROUNDING = 1e-9
_SHOWN, _LONGEST_KEY = 40, 120  # characters of a value and of a key that a message repeats
_WORDS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


class Kind(NamedTuple):
    """A kind of result file: where its class is defined, what writes it, and a key that version 0.1.0 knew it by."""

    module: str
    command: str
    mark: str


#: By the name of the format. A module is imported only when a file of its kind is read.
KINDS: dict[str, Kind] = {
    "qtomo-verification": Kind("qtomo.verification.result", "qtomo verify", "verdict"),
    "qtomo-evaluation": Kind("qtomo.evaluation.evaluation", "qtomo evaluate", "gain_over_best_baseline"),
    "qtomo-comparison": Kind("qtomo.evaluation.comparison", "qtomo compare", "entries"),
    "qtomo-file-comparison": Kind("qtomo.verification.file_comparison", "qtomo compare", "files"),
    "qtomo-plan": Kind("qtomo.verification.planning", "qtomo plan", "records_needed"),
    "qtomo-settings-plan": Kind("qtomo.verification.settings_plan", "qtomo plan --certify", "certify"),
    "qtomo-reconstruction": Kind("qtomo.reconstruction.dense", "qtomo reconstruct", "fitted"),
    "qtomo-tensor-network": Kind("qtomo.reconstruction.matrix_product", "qtomo reconstruct", "bond_dims"),
    "qtomo-sweep": Kind("qtomo.training.sweep.trials", "qtomo train --resume", "trials"),
}
_CLASSES: dict[str, type[Result]] = {}


def _read_number(value: object) -> object:
    return _WORDS.get(value, value) if isinstance(value, str) else value


def _write_number(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


#: A number that may be infinite or NaN. What is annotated `float` is finite in a file.
Real = Annotated[float, BeforeValidator(_read_number), PlainSerializer(_write_number, when_used="json")]


def _probability(value: float) -> float:
    if not -_ROUNDING <= value <= 1 + _ROUNDING:
        raise ValueError(f"found {value:g}, expected a number from 0 to 1")
    return value


#: A number from 0 to 1.
Probability = Annotated[float, AfterValidator(_probability)]

#: A confidence level or an error rate, between 0 and 1.
Level = Annotated[float, Field(gt=0, lt=1)]

#: Rows of numbers, all of one length.
Matrix = Annotated[
    NDArray[np.float64],
    GetPydanticSchema(
        lambda _array, handler: core_schema.no_info_after_validator_function(
            lambda rows: _matrix(rows),
            handler.generate_schema(list[list[Real]]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                np.ndarray.tolist, return_schema=handler.generate_schema(list[list[Real]])
            ),
        )
    ),
]

Unsaved_ = TypeVar("Unsaved_")
#: A field that no file holds, such as a state: None where the result was read.
Unsaved = Annotated[
    Unsaved_ | None, GetPydanticSchema(lambda _kind, _handler: core_schema.any_schema()), Field(exclude=True)
]

#: SHA-256 in hexadecimal.
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _matrix(rows: list[list[float]]) -> NDArray[np.float64]:
    if len({len(row) for row in rows}) > 1:
        raise ValueError("rows of different lengths, expected all of one length")
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 0)


def stating(*names: str) -> Any:
    """Have the JSON of a dataclass also state properties, for its readers; they are not read back.

    Args:
        names: of properties whose values are text, numbers or None.

    Returns:
        What the dataclass must have as an attribute, of any name.
    """

    def add(self: object, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in names}
        stated = {name: _write_number(v) if isinstance(v, float) else v for name, v in values.items()}
        return {**fields(self), **stated}

    return model_serializer(mode="wrap")(add)


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Of a tuple of one: pydantic takes no settings for a dataclass itself."""
    one: Any = GenericAlias(tuple, (kind,))
    return TypeAdapter(one, config=ConfigDict(strict=True))


def plain(value: object) -> dict[str, Any]:
    """A dataclass as a dictionary that JSON can hold.

    >>> from qtomo.statistics.estimate import Estimate
    >>> plain(Estimate(1.0, math.inf, -math.inf, math.inf, 0.95, 1, "one record"))["low"]
    '-Infinity'
    """
    kind: Any = type(value)
    (found,) = _adapter(kind).dump_python((value,), mode="json", by_alias=True)
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True)
class Result(ABC):
    """What an analysis found: prints as tables, saves and loads itself.

    A new kind is a frozen dataclass that names its format and the version of its layout in its header, such as
    `class Plan(Result, format="qtomo-plan", version=1)`, and a row of `KINDS` that says where it is defined. Its
    fields are the layout: their types and `__post_init__` say what a file may hold, an alias (`pydantic.Field`) what
    a field is called there. A change of the layout is a new version.

    Args:
        made_from: SHA-256 by what it was made from, such as `records` or `weights`.
        qtomo: version of the library that made it.
    """

    format: ClassVar[str]
    format_version: ClassVar[int]

    made_from: dict[str, Sha256] = field(default_factory=dict, kw_only=True)
    qtomo: str = field(default=__version__, kw_only=True)

    def __init_subclass__(cls, *, format: str, version: int) -> None:
        if KINDS[format].module != cls.__module__:
            raise TypeError(f"{cls.__qualname__}: defined in {cls.__module__}, expected {KINDS[format].module}")
        cls.format, cls.format_version = format, version
        _CLASSES[format] = cls

    @abstractmethod
    def tables(self) -> list[Table]:
        """What is printed first."""

    def first_line(self) -> str:
        """What a reader must know before all else; empty where there is no such thing."""
        return ""

    def remarks(self) -> list[str]:
        """Sentences below the tables."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        return {"format": self.format, "format_version": self.format_version, **plain(self)}

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write a JSON file, which `load` and `read_result` read.

        Raises:
            InputError: the file exists and `overwrite` is false, or it cannot be written.
        """
        path = check_absent(path, overwrite)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(path, text.encode("utf-8", "replace"))
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of this kind.

        Raises:
            InputError: as `read_result`, or a result of another kind.
        """
        found = read_result(path)
        if not isinstance(found, cls):
            raise InputError(Code.KIND, f"{path}: format '{found.format}', expected '{cls.format}'")
        return found

    def __str__(self) -> str:
        first = self.first_line()
        text = as_text(self.tables(), self.remarks())
        return f"{first}\n\n{text}" if first else text

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(remark)}</li>" for remark in self.remarks())
        first = f"<p><b>{escape(self.first_line())}</b></p>" if self.first_line() else ""
        tables = "".join(table._repr_html_() for table in self.tables())
        return first + tables + (f"<ul>{items}</ul>" if items else "")


def read_result(path: str | os.PathLike[str]) -> Result:
    """Read a result of any kind from its JSON file, which may come from anywhere.

    Args:
        path: a file that `save` wrote, or the output of a command with `--json`.

    Returns:
        An `Evaluation`, a `Verification`, or whatever the file's format names.

    Raises:
        InputError: no such file, one above 64 MiB, not JSON, of no known format, of another version of it, or with a
            value that is missing or wrong; the message names the place, what was found and what was expected.

    >>> import tempfile
    >>> from qtomo.verification.planning import Plan
    >>> path = Plan(0.01, 0.95, {}).save(f"{tempfile.mkdtemp()}/plan.json")
    >>> read_result(path).format
    'qtomo-plan'
    """
    path = Path(path)
    content = _content(path)
    document = _parsed(path, content)
    name = _format(path, document)
    importlib.import_module(KINDS[name].module)
    kind = _CLASSES[name]
    version = document["format_version"]
    if version != kind.format_version:
        advice = "update qtomo" if version > kind.format_version else f"run {KINDS[name].command} again"
        raise InputError(
            Code.VERSION,
            f"{path}: {name} in format_version {version}, qtomo {__version__} reads {kind.format_version}: {advice}",
        )
    again = f"damaged: run {KINDS[name].command} again"
    for place, number in _numbers(document, ()):
        raise InputError(
            Code.DAMAGED, f"{path}, {_place(place)}: found {_shown(number)}, expected a number of JSON; {again}"
        )
    try:
        (found,) = _adapter(kind).validate_json(b"[" + content + b"]")
    except ValidationError as error:
        raise InputError(Code.DAMAGED, f"{path}, {_said(error.errors(include_url=False)[0])}; {again}") from None
    except RecursionError:
        raise InputError(Code.DAMAGED, f"{path}: nested too deeply; {again}") from None
    for place in _missing(found.to_dict(), document, ()):
        raise InputError(Code.DAMAGED, f"{path}, {_place(place)}: missing; {again}")
    assert isinstance(found, kind)
    return found


def _content(path: Path) -> bytes:
    """The bytes of a regular file of bounded size."""
    if not path.is_file():
        raise InputError(Code.ABSENT, f"{path}: no such file")
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(Code.ENVIRONMENT, f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > _LARGEST_FILE:
        raise InputError(
            Code.TOO_LARGE, f"{path}: larger than {_LARGEST_FILE // 2**20} MiB, expected a JSON file that qtomo wrote"
        )
    return content


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(Code.DAMAGED, f"{path}: not readable as JSON ({error})") from None
    if not isinstance(document, dict):
        raise InputError(Code.KIND, f"{path}: found {_shown(document)}, expected an object that qtomo wrote")
    return document


def _format(path: Path, document: Mapping[str, Any]) -> str:
    """The name of the file's format, once sure that it is known and has a version."""
    name = document.get("format")
    version = document.get("format_version")
    if isinstance(name, str) and name in KINDS and type(version) is int:
        return name
    if version is None:
        for kind in KINDS.values():
            if kind.mark in document and name in (None, *KINDS):
                raise InputError(
                    Code.VERSION,
                    f"{path}: written by an early qtomo 0.1.0, without a format_version: run {kind.command} again",
                )
    if isinstance(name, str) and name in KINDS:
        raise InputError(Code.DAMAGED, f"{path}, format_version: found {_shown(version)}, expected a whole number")
    what = f"format {_shown(name)}" if "format" in document else "JSON without a format"
    raise InputError(Code.KIND, f"{path}: {what}: of no kind that qtomo writes, expected one of {', '.join(KINDS)}")


def _numbers(value: object, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Numbers that strict JSON, or a float, cannot hold, each with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, (*place, index))
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) > _LARGEST_INT
    ):
        yield place, value


def _missing(expected: object, found: object, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Places of the keys that a file of this kind has and this one has not, those with a default included."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                yield (*place, key)
            else:
                yield from _missing(value, found[key], (*place, key))
    elif isinstance(expected, list) and isinstance(found, list):
        for index, (value, item) in enumerate(zip(expected, found, strict=False)):
            yield from _missing(value, item, (*place, index))


def _said(error: ErrorDetails) -> str:
    """Place, what was found and what was expected, of what pydantic says."""
    place = _place(error["loc"][1:])  # without the index in the tuple of one
    message, found = error["msg"], _shown(error["input"])
    if error["type"] == "missing":
        return f"{place}: missing"
    if error["type"] == "json_invalid":
        return message
    if error["type"] == "value_error":
        return f"{place}: {message.removeprefix('Value error, ')}"
    if error["type"] == "string_pattern_mismatch":
        return f"{place}: found {found}, expected 64 hexadecimal digits"
    start, _, expected = message.partition(" should be ")
    return f"{place}: found {found}, expected {expected}" if expected else f"{place}: found {found}: {start}"


def _place(parts: tuple[str | int, ...]) -> str:
    """As it would be written in Python: tests[0].p_value."""
    text = ""
    for part in parts:
        if isinstance(part, str) and part.isidentifier() and part.isascii():
            text += f".{part[:_LONGEST_KEY]}"
        else:
            text += f"[{part[:_LONGEST_KEY] if isinstance(part, str) else part!r}]"
    return text.removeprefix(".") or "the file"


def _shown(value: object) -> str:
    """A value of a file in a few printable characters."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) > _LARGEST_INT:
        return "a whole number above 2**63"
    return repr(value[:_SHOWN] if isinstance(value, str) else value)
