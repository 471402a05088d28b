"""`qtomo doctor`: is the installation sound?"""

from __future__ import annotations

import json

import rich_click as click

from qtomo.installation import examine

__all__ = ["command"]

FAULTY = 1


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(as_json: bool) -> int:
    """Check the installation: Python, torch, threads and device, HDF5, extras, free space, example records.

    Exit code 1 where something does not work; what to do stands beside it.

    Example: qtomo doctor
    """
    # Nothing from .common here: it loads torch, which may be what is broken.
    checks = examine()
    faults = sum(check.state == "fault" for check in checks)
    if as_json:
        click.echo(json.dumps({"sound": faults == 0, "checks": [check.to_dict() for check in checks]}))
        return FAULTY if faults else 0
    width = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{check.state.ljust(5)}  {check.name.ljust(width)}  {check.found}")
        if check.mend:
            click.echo(f"{' ' * (width + 9)}→ {check.mend}")
    click.echo("\nAll is well." if not faults else f"\n{faults} of {len(checks)} checks found a fault.")
    return FAULTY if faults else 0
