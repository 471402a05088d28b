"""Run notebooks at full size and keep their outputs: python notebooks/execute.py [NAME…]; prints seconds."""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def main() -> None:
    """Execute those that are named, or all."""
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.ipynb"))
    started = time.monotonic()
    for name in names:
        path, begun = HERE / f"{Path(name).stem}.ipynb", time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3", coalesce_streams=True).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times, which differ in each run
        nbformat.write(notebook, path)
        print(f"{path.stem:40} {time.monotonic() - begun:6.1f} s", flush=True)
    print(f"{'all':40} {time.monotonic() - started:6.1f} s")


if __name__ == "__main__":
    main()
