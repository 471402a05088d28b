"""`qtomo doctor`: is the installation sound?"""

from __future__ import annotations

import json

import rich_click as click

from qtomo.installation import doctor

__all__ = ["command"]

FAULTY = 1


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(as_json: bool) -> int:
    """Check the installation: Python, torch, threads and device, HDF5, extras, free space, example records.

    Exit code 1 where something does not work; what to do stands beside it.

    Example: qtomo doctor
    """
    # Nothing from .common here: it loads h5py, which may be what is broken.
    found = doctor()
    click.echo(json.dumps(found.to_dict()) if as_json else str(found))
    return FAULTY if found.faults else 0
