"""Kinds of things: a name for files and programs, and words for people."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Worded"]


class Worded(StrEnum):
    """An enumeration whose members are `"name"` or `"name", "words for people"`.

    >>> class Fruit(Worded):
    ...     PEAR = "pear"
    ...     APPLE = "malus-domestica", "apple"
    >>> Fruit("malus-domestica").words, Fruit.PEAR.words, Fruit.PEAR == "pear"
    ('apple', 'pear', True)
    """

    words: str

    def __new__(cls, name: str, words: str = "") -> Worded:
        """A member: its value is the name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.words = words or name
        return member
