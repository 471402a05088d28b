"""An error of what was given: a code for programs, a message for people."""

import copy
import pickle
from pathlib import Path

import pytest

from qtomo.errors import Code, Diverged, InputError

PAGE = Path(__file__).parents[1] / "docs/errors.md"


def test_code_and_message_are_apart():
    error = InputError(Code.ABSENT, "a.h5: no such file")
    assert error.code is Code.ABSENT
    assert str(error) == "a.h5: no such file"
    with pytest.raises(TypeError):
        InputError("a.h5: no such file")


@pytest.mark.parametrize("kind", [InputError, Diverged])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies_and_those_of_other_processes_are_the_same(kind, again):
    error = kind(Code.DIVERGED, "the loss is nan")
    error.add_note("of process 3")
    found = again(error)
    assert type(found) is kind
    assert found.code is Code.DIVERGED
    assert str(found) == "the loss is nan"
    assert found.__notes__ == ["of process 3"]


def test_the_page_lists_the_codes():
    rows = "".join(f"| `{code}` | {code.words} |\n" for code in Code)
    assert f"| code | meaning |\n|---|---|\n{rows}" in PAGE.read_text(encoding="utf-8")
