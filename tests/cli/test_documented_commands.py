"""Every command that README, docs and `--help` show does its work, at a size for tests.

A command runs in a folder that has the files it names (`_LABORATORY`). Sizes, placeholders and the few names that do
not fit there are changed by `SMALLER`, and by nothing else. A line of torchrun runs here as one process; the launch
itself is tested in tests/training/test_distributed.py and tests/cli/test_commands.py.
"""

import importlib
import json
import re
import shlex
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import rich_click as click
from qtomo_cli.main import COMMANDS, cli

from qtomo import TFIM, simulate
from qtomo.measurement.settings import SettingList, write_setting_list
from tests.systems.named import ghz_circuit

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "data/README.md"]

#: Names of commands, not commands; each has to exist.
MENTIONS = re.compile(r"qtomo( [a-z]+){0,2}( --[a-z]+)?|.*…(?! --figure).*")

#: What makes a command small, and what stands for a placeholder: (pattern, replacement), applied in order.
SMALLER = [
    (r"^(srun )?torchrun .* -m qtomo_cli", "qtomo"),
    (r"--shard \S+/\d+", "--shard 0/1"),
    (r"--shards \d+", "--shards 4"),
    (r"training\.batch_size=\d+", "training.batch_size=100"),
    (r"compare data/good\.h5 data/faulty\.h5", "compare monday.h5 tuesday.h5"),
    (r"(verify|train) data/(good|faulty)\.h5", r"\1 tfim.h5"),  # in full: tests/cli/test_data.py
    (r"--qubits \d+", "--qubits 3"),
    (r"--shots \d+", "--shots 300"),
    (r"--samples \d+", "--samples 100"),
    (r"training\.epochs=\d+", "training.epochs=1"),
    (r" --set training\.compile=true", ""),  # half a minute of C++: tests/training/test_step.py
    (r"hidden_size=\d+", "hidden_size=6"),
    (r"trials/0005", "trials/0000"),
    (r"trials/0009", "trials/0001"),
    (r"^(qtomo demo.*)$", r"\1 --qubits 3 --shots 300 --epochs 1"),
    (r"^(qtomo train (?!.*(training\.epochs|--resume|--sweep)).*)$", r"\1 --set training.epochs=1"),
    (r"^(qtomo (evaluate|compare|report) (?!.*(--samples|\.h5)).*)$", r"\1 --samples 100"),
    (r"--coupling 1\.0 --field 1\.0", "--coupling 1 --field 1"),
    (r"import hdf5 lab\.h5", "import hdf5 raw.h5"),
    (r"^qtomo import FILE$", "qtomo import lab.csv --dry-run"),
    (r"import FILE", "import lab.csv"),
    (r"import monday\.csv tuesday\.csv", "import lab.csv lab.csv"),
    (r"RECORDS --sweep FILE --output FOLDER", "records.h5 --sweep sweep.toml --output found"),
    (r"verify trial\.h5", "verify tfim.h5"),
    (r"verify records\.h5", "verify lab.h5"),
    (r"\bFAMILY\b", "maf"),
    (r"\bCOMMAND\b", "verify"),
    (r"^(qtomo reconstruct .*)$", r"\1 --resamples 20"),
    (r"\bRUN…", "run other-run"),
    (r"\bRECORDS(\.h5)?\b", "records.h5"),
    (r"\bRUN\b", "run"),
    (r"xxz --qubits 3", "xxz --qubits 4"),
    (r"graph --qubits 3 --edges \S+", "graph --qubits 3 --edges 0-1,1-2"),
    (r"readout:0/0\.1@6", "readout:0/0.1@2"),
]

#: Seconds each, of commands that another line of the same kind runs too: in `make test-all`.
SLOW = re.compile(
    r"qtomo (demo|report gru.*|compare (gan|gru)|plan .*(field|certify)|reconstruct (ghz|records|tfim)"
    r"|verify (lab.h5 --target ghz|data/faulty|w3|circuit5|chain12|a1)).*"
)

#: What no option sets: exact records that the data are compared with.
FEWER_EXACT_RECORDS = {
    "qtomo.evaluate": {"samples": 100},
    "qtomo.verify": {"n_reference": 2000},
    "qtomo.plan": {"n_exact": 1000},
}


def _in_document(text):
    """Lines of code blocks, indented or fenced, and inline code."""
    blocks = re.findall(r"```.*?```|^(?: {4}[^\n]*\n)+", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in re.findall(r"^ *((?:qtomo|torchrun|srun torchrun) .*)$", block, re.M)]
    inline = [
        " ".join(words.split())
        for words in re.findall(r"`(qtomo(?: [^`]+)?)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ]
    return [re.split(r" {2,}", line)[0] for line in lines] + inline


def _commands(group=cli, name="qtomo"):
    """All commands of the tree with their names."""
    context = click.Context(group, info_name=name)
    yield name, group
    if isinstance(group, click.Group):
        for child in group.list_commands(context):
            yield from _commands(group.get_command(context, child), f"{name} {child}")


def _in_help():
    for name, command in _commands():
        text = command.help or ""
        examples = re.findall(r"Example: (.*)", text)
        yield name, examples


def _smaller(command):
    for pattern, replacement in SMALLER:
        command = re.sub(pattern, replacement, command)
    return command


def _collect():
    found = {}
    for document in DOCUMENTS:
        for command in _in_document(document.read_text(encoding="utf-8")):
            if not MENTIONS.fullmatch(command):
                found.setdefault(_smaller(command), str(document.relative_to(ROOT)))
    for name, examples in _in_help():
        for command in examples:
            found.setdefault(_smaller(command), f"{name} --help")
    return found


FOUND = _collect()


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory):
    """A folder with every file that the commands name; made once."""
    import qtomo
    from qtomo.verification.pipeline import verify

    folder = tmp_path_factory.mktemp("laboratory")
    for name, seed in (
        ("tfim", 1),
        ("tfim8", 1),
        ("records", 1),
        ("monday", 2),
        ("tuesday", 3),
        ("learned", 4),
        ("trial", 6),
        ("tfim6", 1),
    ):
        simulate(TFIM(3), 600, folder / f"{name}.h5", seed=seed)
    simulate(TFIM(3), 600, folder / "lab.h5", seed=5, settings="random", povm="pauli6")
    verify(folder / "lab.h5", alternative="none", budget=False, n_reference=1000)
    simulate(qtomo.GHZ(3), 100, folder / "ghz.h5", seed=5)
    shutil.copy(folder / "ghz.h5", folder / "trial-ghz.h5")
    write_setting_list(SettingList.from_words([("XXX", 20), ("ZZZ", 30)]), folder / "settings.csv")
    for shard in range(4):
        simulate(TFIM(3), 4 * 8192, folder / "tfim.h5", seed=1, shard=(shard, 4))
    rng = np.random.default_rng(1)
    bases, bits = rng.integers(0, 3, (300, 3)), rng.integers(0, 2, (300, 3))
    letters = np.array(list("XYZ"))[bases]
    pairs = list(zip(letters, bits, strict=True))
    shutil.copytree(ROOT / "data", folder / "data")
    shutil.copy(folder / "lab.verification.json", folder / "data/faulty.verification.json")
    np.save(folder / "rho.npy", np.eye(4) / 4)
    for name, n_sites in (("bell", 2), ("ghz", 3)):
        (folder / f"{name}.qasm").write_text(ghz_circuit(n_sites))
    qtomo.write_state(folder / "state.h5", TFIM(3).state())
    (folder / "lab.csv").write_text("\n".join(f"{''.join(b)},{''.join(map(str, s))}" for b, s in pairs))
    (folder / "lab").mkdir()
    for name, state in (("ghz4", "ghz"), ("w3", "ghz"), ("circuit5", "ghz"), ("chain12", "records")):
        (folder / "lab" / f"{name}.csv").write_text("bases,bits\n" + (folder / "lab.csv").read_text())
        shutil.copy(folder / f"{state}.h5", folder / f"{name}.h5")
    (folder / "lab/circuit5.qasm").write_text(ghz_circuit(3))
    for name, bit in (("zeros", "0"), ("ones", "1")):
        (folder / f"lab/{name}.csv").write_text("bits\n" + f"{3 * bit}\n" * 50)
    np.savez(folder / "lab.npz", bases=letters, bits=bits)
    (folder / "samples.txt").write_text("\n".join(" ".join(map(str, s)) for s in bits))
    (folder / "bases.txt").write_text("\n".join(" ".join(b) for b in letters))
    for name in ("result.json", "memory.json"):
        shutil.copy(ROOT / "tests/records/foreign" / name, folder / name)
    (folder / "train.txt").write_text("\n".join(" ".join(map(str, np.eye(4, dtype=int)[s].ravel())) for s in bases))
    with h5py.File(folder / "raw.h5", "w") as file:
        file["run3/bits"], file["run3/bases"], file["run3/t"] = bits, bases, np.arange(300.0)
    with h5py.File(folder / "data.h5", "w") as file:
        file["outcomes"] = bits
    _foreign(folder)
    sweep = re.search(r"```toml\n(.*?)```", (ROOT / "docs/sweeps.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    for full, small in (("epochs = 4", "epochs = 1"), ("trials = 12", "trials = 2"), ("[16, 32, 64]", "[4, 8]")):
        assert full in sweep
        sweep = sweep.replace(full, small)
    (folder / "sweep.toml").write_text(sweep)
    settings = {"model": {"family": "gru", "hidden_size": 4}, "training": {"epochs": 1}}
    run = qtomo.train(folder / "tfim.h5", folder / "run", settings)
    for name in ("other-run", "gru", "rbm", "gan", "bigan", "gru6", "cnn6"):
        shutil.copytree(run.folder.path, folder / name)
    from qtomo.training.sweep.trials import sweep

    sweep(folder / "tfim8.h5", folder / "found", folder / "sweep.toml", settings)
    return folder


def _foreign(folder):
    """Files of other programs, as small as they can be, and one experiment of the tomograms."""
    import qtomo

    (folder / "counts.txt").write_text("Counter({'0': 3, '1': 4})\n" * 3)
    contents = {
        "counts": {"(1, 0)": 3, "(0, 0)": 4},
        "histogram": {"0": 5, "3": 6},
        "results": {"measurements": [[0, 1], [1, 1]], "measuredQubits": [0, 1]},
        "job": {"tasks": [{"shot_outputs": [{"shot_status": "Success", "pre_sequence": [1], "post_sequence": [0]}]}]},
    }
    for name, content in contents.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content))
    np.savez(folder / "measurements.npz", measurement_results=[[[0], [1]]], measurement_settings=[[np.eye(2)]])
    tomograms, select = folder / "data/innsbruck/innsbruck_three_qubit_tomograms.h5", {"shots_per_setting": 200}
    shutil.copy(tomograms, folder / "tomograms.h5")
    qtomo.import_records(tomograms, output=folder / "a1.h5", outcomes="ions_024", select="a1", **select)
    with np.load(folder / "data/innsbruck/innsbruck_three_qubit_states_published.npz") as states:
        np.save(folder / "published-a1.npy", states["rho_024"][0])
        np.save(folder / "published-b2.npy", states["rho_024"][5])


def test_there_are_commands_in_each_place():
    assert len(FOUND) > 40
    places = " ".join(FOUND.values())
    assert all(place in places for place in ("README.md", "docs/import.md", "docs/verify.md", "--help"))


def test_every_command_has_an_example_in_its_help():
    assert not [name for name, examples in _in_help() if not examples]


def test_commands_that_are_mentioned_exist():
    for document in DOCUMENTS:
        for command in _in_document(document.read_text(encoding="utf-8")):
            words = shlex.split(command)
            if MENTIONS.fullmatch(command) and len(words) > 1 and words[1] != "…":
                assert words[1] in COMMANDS or words[1].startswith("--") or words[1].isupper(), f"{document}: {command}"


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=pytest.mark.slow) if SLOW.fullmatch(c) else c for c in FOUND]
)
@pytest.mark.filterwarnings("ignore")  # libraries' own, tested where they arise
def test_it_runs(command, qtomo, laboratory, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(laboratory, folder)
    monkeypatch.chdir(folder)
    for place, size in FEWER_EXACT_RECORDS.items():
        name = place.rpartition(".")[2]
        monkeypatch.setattr(place, partial(getattr(importlib.import_module(place.rpartition(".")[0]), name), **size))
    words = shlex.split(command)
    assert words[0] == "qtomo"
    output = [folder / word for option, word in pairwise(words) if option in ("-o", "--output", "--figure")]
    if any(path.exists() for path in output) or words[1] == "join":
        words.append("--overwrite")
    result = qtomo(*words[1:])
    expected = (0, 1) if words[1] == "verify" else (0,)
    assert result.code in expected, f"{FOUND[command]}: {command}\n{result.errors}"
    assert result.output.strip()
    for path in output:
        assert path.exists()
