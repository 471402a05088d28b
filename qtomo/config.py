"""Strict settings: every field has a meaning and a range, and an unknown one is an error that helps."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from qtomo.errors import Code, InputError

__all__ = ["Config", "near_miss"]


class Config(BaseModel):
    """A frozen, strict set of settings; subclasses declare the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], place: str) -> Self:
        """The settings from plain values.

        Raises:
            InputError: an unknown field (names the nearest known one) or a bad value; `place` says where.
        """
        for name in values:
            if name not in cls.model_fields:
                raise InputError(
                    Code.UNKNOWN, f"{place}: unknown option '{name}'{near_miss(name, list(cls.model_fields))}"
                )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(Code.VALUE, f"{place}: {where} = {first['input']!r}: {_lower(first['msg'])}") from None


def near_miss(name: str, known: list[str]) -> str:
    """The end of a message about an unknown name: what it may have meant, else all known ones."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def _lower(message: str) -> str:
    return message[0].lower() + message[1:]
