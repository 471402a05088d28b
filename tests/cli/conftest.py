"""The command as a user calls it, in this process for speed."""

import sys
from dataclasses import dataclass

import pytest
import qtomo_cli


@dataclass(frozen=True)
class Result:
    code: int
    output: str
    errors: str


@pytest.fixture
def qtomo(monkeypatch, capsys):
    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["qtomo", *map(str, arguments)])
        code = 0
        try:
            qtomo_cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
