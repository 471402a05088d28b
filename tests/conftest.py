"""Small records and a small trained run, made once a session; and the command as a user calls it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded: workers that share the cores

import pytest
import qtomo_cli
import torch

from qtomo import TFIM, Run, simulate, train

SMALL = {"model": {"family": "gru", "hidden_size": 12}, "training": {"epochs": 2, "batch_size": 100, "seed": 3}}


@pytest.fixture(autouse=True)
def _same_torch_randomness():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_records(tmp_path_factory) -> Path:
    """3,000 Pauli-4 records of the critical chain of 5 qubits."""
    path = tmp_path_factory.mktemp("records") / "tfim5.h5"
    return simulate(TFIM(5), 3000, path, seed=11)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, small_records) -> Run:
    """A GRU trained on them for two short epochs."""
    return train(small_records, tmp_path_factory.mktemp("runs") / "run", SMALL)


@dataclass(frozen=True)
class Result:
    code: int
    output: str
    errors: str


@pytest.fixture
def qtomo(monkeypatch, capsys):
    """The command, in this process for speed."""

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
