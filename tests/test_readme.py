"""The README's Python runs, at a size for tests."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
SMALLER = {"n_sites=50": "n_sites=4", "100_000": "2_000", "epochs=4": "epochs=1"}


def test_six_lines_simulate_train_and_evaluate(tmp_path, monkeypatch, capsys):
    lines = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert sum(bool(line) for line in lines.splitlines()) == 6
    for full, small in SMALLER.items():
        assert full in lines
        lines = lines.replace(full, small)
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "README.md", "exec"), {})
    assert "KL(target‖model)" in capsys.readouterr().out
