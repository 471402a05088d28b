"""One door for runs and for record files."""

import numpy as np

from qtomo import Comparison, FileComparison, Records, compare
from qtomo.errors import Code
from tests.refusing import refused


def records(seed):
    return Records(np.random.default_rng(seed).integers(0, 4, (300, 2)).astype(np.uint8))


def test_runs_are_compared_as_runs(small_run):
    assert isinstance(compare([small_run], samples=100), Comparison)


def test_record_files_and_records_are_compared_as_records(small_records):
    assert isinstance(compare([records(1), records(2)]), FileComparison)
    assert isinstance(compare([small_records, small_records], level=0.99), FileComparison)


def test_a_run_among_record_files_is_refused(small_run, small_records):
    with refused(Code.KIND):
        compare([small_records, small_run.folder.path])


def test_an_option_that_there_is_not_is_refused_with_the_nearest(small_run):
    with refused(Code.UNKNOWN, r"no option 'sample'.*samples"):
        compare([small_run], sample=100)
