"""Kinds are their names to files and programs, and words to people."""

import json
import pickle

import pytest

from qtomo.worded import Worded


class Metal(Worded):
    IRON = "iron"
    BRASS = "cu-zn", "brass"


def test_a_member_is_its_name_and_has_words():
    assert Metal("cu-zn") is Metal.BRASS
    assert (Metal.BRASS.value, str(Metal.BRASS), Metal.BRASS.words) == ("cu-zn", "cu-zn", "brass")
    assert Metal.IRON.words == "iron"
    assert json.dumps({Metal.BRASS: [Metal.IRON]}) == '{"cu-zn": ["iron"]}'
    assert pickle.loads(pickle.dumps(Metal.BRASS)) is Metal.BRASS


def test_words_are_no_name():
    with pytest.raises(ValueError, match="brass"):
        Metal("brass")
