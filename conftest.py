"""Doctests run in an empty folder of their own."""

import pytest

collect_ignore_glob = ["tests/records/foreign/*", "tests/verification/cases/*"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(request, tmp_path, monkeypatch):
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
