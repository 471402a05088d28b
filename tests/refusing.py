"""What a user gave is refused, for the right reason."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from qtomo.errors import Code, InputError


@contextmanager
def refused(code: Code, words: str | None = None) -> Iterator[pytest.ExceptionInfo[InputError]]:
    """A block that raises an `InputError` of this code, whose message has `words` (a regular expression) in it."""
    with pytest.raises(InputError, match=words) as caught:
        yield caught
    assert caught.value.code is code, f"{caught.value.code!r}: {caught.value}"
