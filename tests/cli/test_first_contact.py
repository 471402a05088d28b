"""What somebody sees who types `qtomo` for the first time."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from qtomo_cli.main import COMMANDS

from qtomo import installation
from qtomo.version import __version__


def test_alone_it_says_what_to_do_next_and_loads_nothing_heavy(qtomo):
    result = qtomo()
    assert result.code == 0
    assert len(result.output.splitlines()) <= 16
    named = re.findall(r"qtomo ([a-z]+)", result.output)
    assert {"simulate", "verify", "import", "info", "doctor"} <= set(named) <= set(COMMANDS)
    code = "import sys, qtomo_cli; sys.argv = ['qtomo']; qtomo_cli.main(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_shell_completes_commands_without_loading_them():
    code = "import sys, qtomo_cli; sys.argv = ['qtomo']; sys.modules['torch'] = None; qtomo_cli.main()"
    environment = {"_QTOMO_COMPLETE": "bash_complete", "COMP_WORDS": "qtomo do", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "plain,doctor\n"


def test_the_doctor_finds_this_installation_sound(qtomo):
    result = qtomo("doctor")
    assert result.code == 0
    assert "All is well." in result.output
    assert len(result.output.splitlines()) <= 24
    assert json.loads(qtomo("doctor", "--json").output)["sound"] is True


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(qtomo, monkeypatch):
    monkeypatch.setattr(installation, "_hdf5", lambda: installation.Check("HDF5", "fault", "no", "install h5py anew"))
    result = qtomo("doctor")
    assert result.code == 1
    assert "→ install h5py anew" in result.output
    assert "1 of " in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_made(shell):
    code = "import sys, qtomo_cli; sys.argv = ['qtomo']; qtomo_cli.main()"
    environment = {"_QTOMO_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if shell == "bash" and not Path("/bin/bash").exists():
        pytest.skip("no bash here")
    assert "_QTOMO_COMPLETE" in done.stdout


def test_the_library_is_a_command_too():
    done = subprocess.run([sys.executable, "-m", "qtomo", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"qtomo, version {__version__}\n")
