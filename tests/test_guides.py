"""What CONTRIBUTING.md says of a new fault and a new certificate, done to a copy of the source and used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RESET = """
import numpy as np
from qtomo import Records, GHZ, BornDistribution, verify
from qtomo.measurement.povm import named_povm
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import applied
from qtomo.verification.hypothesis import Hypothesis

povm = named_povm("pauli4")
faulty = applied(Hypothesis.of(GHZ(3).state(), povm, None), FaultKind("reset"), 0.4, 1)
drawn = Records(np.zeros((4000, 3), np.uint8), povm)
records = faulty.sample_like(drawn, np.random.default_rng(1))
found = verify(records, GHZ(3), alternative="none")
print(found.faults[0].describe())
assert found.faults[0].kind == "reset" and found.faults[0].sites == (1,)
assert found.faults[0].size.low < 0.4 < found.faults[0].size.high
"""

AGREEMENT = """
import numpy as np
from qtomo import Records, GHZ, BornDistribution, verify

drawn = BornDistribution(GHZ(3).state(), "pauli4").sample(500, np.random.default_rng(1))
found = verify(Records(drawn, "pauli4"), GHZ(3), alternative="none")
(certificate,) = [one for one in found.certificates if one.kind == "agreement"]
assert 0 < certificate.value < 1 and certificate.guarantee == "finite-sample"
assert certificate.says in " ".join(str(found).split())
"""


def blocks(section):
    """The Python blocks of a section of the guide."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    part = guide[guide.index(f"## {section}\n") :].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", part, re.DOTALL)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "qtomo", tmp_path / "qtomo", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "qtomo"


def insert(path, before, text):
    source = path.read_text(encoding="utf-8")
    assert source.count(before) == 1
    path.write_text(source.replace(before, text + before), encoding="utf-8")


def member(line):
    return f"    {line.strip()}\n"


def run(copy, code):
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    done = subprocess.run(
        [sys.executable, "-c", f"import qtomo; assert {str(copy)!r} in qtomo.__file__\n{code}"],
        cwd=copy.parent, env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_new_fault_is_named(copy):
    kind, kraus = blocks("Add a fault")
    entry = "        _mixing(FaultKind.RESET, reset),\n"
    assert entry.strip() in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    faults = copy / "verification" / "faults"
    insert(faults / "base.py", '    DRIFT = "drift"', member(kind))
    insert(faults / "local.py", "#: All of them by kind.", f"{kraus}\n\n")
    insert(faults / "local.py", "        _mixing(FaultKind.DEPOLARIZING, depolarizing),\n", entry)
    run(copy, RESET)


def test_a_new_certificate_is_shown(copy):
    kind, function = blocks("Add a certificate")
    insert(copy / "observables" / "certificates" / "base.py", '    MISFIT = "misfit"', member(kind))
    path = copy / "verification" / "certificates.py"
    insert(path, "Certifier = Callable", f"{function}\n\n")
    insert(path, "by_misfit, by_forbidden_outcomes)", "by_agreement, ")
    imports = "import math\nfrom qtomo.observables.certificates.base import CertificateKind\n"
    insert(
        path,
        "@dataclass(frozen=True, eq=False)\n",
        imports + "from qtomo.statistics.bounds import proportion_lower_limit\n",
    )
    run(copy, AGREEMENT)
