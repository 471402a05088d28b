"""Strict settings: what is unknown or out of range is refused with its place, and they never change."""

import pytest
from pydantic import Field, ValidationError

from qtomo.config import Config, near_miss
from qtomo.errors import Code
from tests.refusing import refused


class Oven(Config):
    heat: float = Field(180.0, ge=0)
    shelves: int = 2


def test_values_and_defaults():
    assert Oven.parse({"heat": 90}, "[oven]") == Oven(heat=90.0, shelves=2)


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"heaat": 1}, Code.UNKNOWN, r"\[oven\]: unknown option 'heaat'; did you mean 'heat'\?"),
        ({"colour": 1}, Code.UNKNOWN, "known: heat, shelves"),
        ({"heat": -1}, Code.VALUE, r"\[oven\]: heat = -1: .*greater than or equal to 0"),
        ({"heat": float("nan")}, Code.VALUE, "heat = nan"),
        ({"heat": float("inf")}, Code.VALUE, "heat = inf"),
        ({"shelves": 1.5}, Code.VALUE, "shelves = 1.5"),
    ],
)
def test_each_mistake_is_told_with_its_place(values, code, words):
    with refused(code, words):
        Oven.parse(values, "[oven]")


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        Oven().heat = 1.0


def test_a_near_miss_is_the_nearest_name():
    assert near_miss("shelfs", ["shelves", "heat"]) == "; did you mean 'shelves'?"
    assert near_miss("q", ["shelves", "heat"]) == "; known: shelves, heat"
