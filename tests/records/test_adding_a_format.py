"""CONTRIBUTING's example of an import format does what it says."""

import re
from pathlib import Path

from qtomo.errors import Code
from qtomo.records.survey import survey
from tests.refusing import refused

EXAMPLE = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(), re.S)


def test_the_example_reads_its_format(tmp_path):
    names: dict = {}
    exec(next(code for code in EXAMPLE if "def read_pairs" in code), names)
    path = tmp_path / "a.txt"
    path.write_text("X0 Z1 Z0\nY1 X1 Z?\n")
    found = survey(names["read_pairs"](path, lost="?"))
    assert [part.tolist() for part in found.first] == [[[0, 2, 2], [1, 0, 2]], [[0, 1, 0], [1, 1, 255]]]
    with refused(Code.VALUE, r"a\.txt, line 2, site 2: outcome '\?'"):
        survey(names["read_pairs"](path))
