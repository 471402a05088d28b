"""A new family is one file and one registry line: the file of CONTRIBUTING.md, used from end to end."""

import re
from pathlib import Path

import pytest

from qtomo import evaluate, resume, sample, train
from qtomo.models.registry import FAMILIES

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def new_family(monkeypatch):
    """The example of CONTRIBUTING.md, registered as its registry line says."""
    example, line = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)[:2]
    space: dict[str, object] = {"__name__": "qtomo.models.independent"}
    exec(compile(example, "independent.py", "exec"), space)
    name, family = re.fullmatch(r'"(\w+)": (\w+),\n', line).groups()
    monkeypatch.setitem(FAMILIES, name, space[family])
    return name


def test_the_example_of_the_guide_trains_and_is_judged(new_family, small_records, tmp_path):
    settings = {"model": {"family": new_family}, "training": {"epochs": 10, "learning_rate": 0.05, "warmup_steps": 0}}
    run = train(small_records, tmp_path / "run", settings)
    assert resume(tmp_path / "run").progress.finished
    sample(run, 100, tmp_path / "drawn.h5")
    found = evaluate(run, samples=1000).divergences
    # Independent sites are what a 0-gram counts.
    losses = [found[name]["validation_loss"].value for name in (new_family, "0-gram")]
    assert losses[0] == pytest.approx(losses[1], abs=0.02)
