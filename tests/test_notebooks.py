"""Every notebook runs from top to bottom at a small size, and keeps outputs of a run at full size."""

from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
#: The rest, which take longer, run in `make test-all`.
QUICK = ("hopfield_to_boltzmann",)
NOTEBOOKS = [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow)
    for path in sorted(FOLDER.glob("*.ipynb"))
]


@pytest.mark.parametrize("path", NOTEBOOKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_runs(path, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("QTOMO_NOTEBOOK", "small")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()


def test_there_are_all_and_each_has_its_outputs():
    paths = sorted(FOLDER.glob("*.ipynb"))
    assert len(paths) >= 8
    for path in paths:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        counts = [cell.execution_count for cell in cells]
        assert counts == list(range(1, len(cells) + 1)), f"{path.name}: not run from top to bottom"
        assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
        assert path.stat().st_size < 600_000
