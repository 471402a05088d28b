"""Bad input: one clear line, exit code 2, and nothing left behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from qtomo import POVM, TFIM, simulate, write_records
from qtomo.errors import InputError
from qtomo.measurement.povm import named_povm


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.fixture
def refused(qtomo, tmp_path):
    """Call a command in vain: exit code 2, one line, and the folder as it was."""

    def call(*arguments: object) -> str:
        before = contents(tmp_path)
        result = qtomo(*arguments)
        assert result.code == 2, result
        assert result.output == ""
        assert result.errors.startswith("qtomo: ")
        assert len(result.errors.strip().splitlines()) == 1
        assert contents(tmp_path) == before
        return result.errors.strip()

    return call


@pytest.fixture
def copied(tmp_path, small_records) -> Path:
    return Path(shutil.copy(small_records, tmp_path / "rec.h5"))


def test_missing(refused, tmp_path):
    path = tmp_path / "none.h5"
    assert refused("info", path) == f"qtomo: {path}: no such file, expected one of qtomo's files or a run folder"
    assert (
        refused("train", path, "--output", tmp_path / "run") == f"qtomo: {path}: no such file, expected a record file"
    )
    assert "no such run folder" in refused("evaluate", tmp_path / "run")


def spoil_text(path: Path) -> None:
    path.write_text("a,b\n1,2\n")


def spoil_kind(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)


def spoil_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def spoil_byte(path: Path) -> None:
    with h5py.File(path) as file:
        place = file["outcomes"].id.get_chunk_info(0).byte_offset + 300
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(bytes(raw))


def spoil_outcome(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["outcomes"][17, 2] = 7


def spoil_povm(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["povm/elements"][...] *= 0.9


SPOILS = {
    spoil_text: "not an HDF5 file",
    spoil_kind: "another kind",
    spoil_length: "damaged or truncated",
    spoil_byte: "/outcomes",
    spoil_outcome: "/outcomes, row 17, site 2: outcome 7, expected 0 to 3",
    spoil_povm: "elements do not sum to the identity",
}


#: The same for `qtomo info`, which takes other kinds of files too, where it says something else.
TOLD_BY_INFO = SPOILS | {spoil_text: "none of qtomo's files", spoil_kind: "HDF5 file of another program"}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_spoiled_records(refused, copied, tmp_path, spoil):
    spoil(copied)
    for command, told in ((("info", copied), TOLD_BY_INFO), (("train", copied, "--output", tmp_path / "run"), SPOILS)):
        message = refused(*command)
        assert message.startswith(f"qtomo: {copied}: ")
        assert told[spoil] in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "model.hidden_sise=3"), "unknown option 'hidden_sise'; did you mean 'hidden_size'?"),
        (("--set", "trainig.epochs=3"), "unknown section 'trainig'; did you mean 'training'?"),
        (("--set", "training.epochs=none"), "[training]: epochs = 'none'"),
        (("--set", "epochs"), "expected section.option=value"),
        (("--preset", "rbm", "--set", "model.sweeps=0"), "sweeps = 0: input should be greater than or equal to 1"),
        (("--preset", "rbm", "--set", "model.negative_phase=pc"), "negative_phase = 'pc': input should be 'cd', 'pcd'"),
        (("--set", "model.order=from_the_midle"), "order = 'from_the_midle'"),
        (
            ("--model", "cnn", "--set", "model.order=[0,1,2,3,3]"),
            "model.order: site 3 stands there twice, expected each",
        ),
        (("--preset", "gruu"), "unknown preset 'gruu'; did you mean 'gru'?"),
        (("--model", "mafia"), "unknown family 'mafia'; did you mean 'maf'?"),
        (("--model", "maf", "--preset", "gru"), "expected --model FAMILY or --preset NAME, not both"),
        (("--config", "none.toml"), "none.toml: no such file, expected a TOML file"),
    ],
)
def test_settings(refused, copied, tmp_path, options, words):
    assert words in refused("train", copied, "--output", tmp_path / "run", *options)


def test_a_config_file_is_named(refused, copied, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("[training]\nlearning_rat = 0.1\n")
    message = refused("train", copied, "--output", tmp_path / "run", "--config", config)
    assert f"{config} [training]: unknown option 'learning_rat'; did you mean 'learning_rate'?" in message


def test_records_of_another_run(refused, small_run, tmp_path):
    others = {
        "n.h5": simulate(TFIM(4), 50, tmp_path / "n.h5"),
        "k.h5": simulate(TFIM(5), 50, tmp_path / "k.h5", povm="pauli6"),
        "other.h5": simulate(TFIM(5), 50, tmp_path / "other.h5"),
    }
    words = {
        "n.h5": "records of 4 sites and 4 outcomes, expected 5 sites and 4 outcomes",
        "k.h5": "records of 5 sites and 6 outcomes, expected 5 sites and 4 outcomes",
        "other.h5": "other records than those",
    }
    for name, path in others.items():
        assert words[name] in refused("evaluate", small_run.folder.path, "--records", path)
        assert words[name] in refused("train", "--resume", small_run.folder.path, "--records", path)


def test_comparisons(refused, small_run, tmp_path):
    run = small_run.folder.path
    assert "Missing argument" in refused("compare")
    assert "given twice" in refused("compare", run, run)
    assert "no such run folder" in refused("compare", run, tmp_path / "none")
    assert "its folder does not exist" in refused("compare", run, "--figure", tmp_path / "no" / "a.png")


def test_comparisons_of_record_files(refused, small_run, copied, tmp_path):
    run = small_run.folder.path
    other = simulate(TFIM(4), 50, tmp_path / "n.h5")
    assert "one record file, expected two or more" in refused("compare", copied)
    assert f"{run}: not a record file as {copied} is" in refused("compare", copied, run)
    assert "--figure: of runs only" in refused("compare", copied, copied, "--figure", tmp_path / "a.png")
    assert f"{other}: 4 qubits, expected 5 as {copied} has" in refused("compare", copied, other)


def test_settings_of_adversarial_networks(refused, copied, tmp_path):
    for setting, words in {
        "model.loss=hellinger": "unknown loss 'hellinger'; known: saturating, non_saturating",
        "model.loss=alpha(1)": "the limit of the family at 1 has a name of its own, 'kl'",
        "model.n_critic=0": "n_critic = 0",
        "model.penalty_strength=0": "penalty_strength = 0",
    }.items():
        assert words in refused("train", copied, "--output", tmp_path / "run", "--model", "gan", "--set", setting)


def test_output_that_exists(refused, qtomo, copied, small_run, tmp_path):
    for command in (
        ("simulate", "tfim", "--qubits", 4, "--output", copied),
        ("sample", small_run.folder.path, "--output", copied),
    ):
        assert "exists already; give --overwrite" in refused(*command)
    run = Path(shutil.copytree(small_run.folder.path, tmp_path / "run"))
    assert "replace it with --overwrite" in refused("train", copied, "--output", run)
    assert qtomo("simulate", "tfim", "--qubits", 4, "--shots", 9, "--output", copied, "--overwrite").code == 0


def test_output_in_no_folder(refused, small_records, tmp_path):
    nowhere = tmp_path / "no" / "where"
    assert "its folder does not exist" in refused("simulate", "tfim", "--qubits", 4, "--output", nowhere)
    assert "its folder does not exist" in refused("train", small_records, "--output", nowhere)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--qubits", 0), "number of qubits is 0, expected at least 1"),
        (("--qubits", -3), "number of qubits is -3, expected at least 1"),
        (("--qubits", "many"), "'many' is not a valid integer"),
        (("--qubits", 4, "--field", "nan"), "field is nan, expected"),
        (("--qubits", 4, "--coupling", "inf"), "coupling is inf, expected"),
        (("--qubits", 4, "--shots", 0), "number of shots is 0, expected at least 1"),
        (("--qubits", 4, "--povm", "pauli5"), "pauli5"),
        (("--qubits", 4, "--seed", -1), "-1 is not in the range"),
        (("--qubits", 4, "--field", "1,x,2,3"), "'1,x,2,3' is not a number"),
        (("--qubits", 4, "--noise", "dephasing:2"), "dephasing: probability is 2.0, expected 0 to 1"),
        (("--qubits", 4, "--noise", "dephsing:0.1"), "unknown channel 'dephsing'; did you mean 'dephasing'?"),
        (("--qbits", 4), "No such option"),
        ((), "Missing option"),
    ],
)
def test_physics(refused, tmp_path, options, words):
    assert words in refused("simulate", "tfim", *options, "--output", tmp_path / "a.h5")


def test_commands(refused):
    assert "no command 'trian'; did you mean 'train'?" in refused("trian")
    assert "expected RECORDS and --output RUN, or --resume RUN" in refused("train")
    assert "--resume goes on with a run's own settings" in refused("train", "a.h5", "--resume", "run")


LIMITED = """
import resource, sys, qtomo_cli
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = ["qtomo", *sys.argv[2:]]
qtomo_cli.main()
"""


def call_on_a_full_disk(limit: int, *arguments: object) -> subprocess.CompletedProcess:
    """Writing beyond `limit` bytes fails, as it does on a full disk."""
    command = [sys.executable, "-c", LIMITED, str(limit), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("limit", [100, *(pytest.param(limit, marks=pytest.mark.slow) for limit in (3_000, 30_000))])
def test_no_space_for_records(tmp_path, limit):
    path = tmp_path / "a.h5"
    result = call_on_a_full_disk(limit, "simulate", "tfim", "--qubits", 6, "--shots", 90_000, "--output", path)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1] == f"qtomo: {path}: cannot be written, no space left on the disk"
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_space_for_a_run(small_records, tmp_path):
    result = call_on_a_full_disk(10, "train", small_records, "--output", tmp_path / "run")
    assert result.returncode == 2
    assert "no space left on the disk" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_space_for_a_checkpoint_keeps_the_run(small_records, tmp_path):
    settings = ("--set", "model.hidden_size=12", "--set", "training.epochs=1")
    result = call_on_a_full_disk(2_000, "train", small_records, "--output", tmp_path / "run", *settings)
    assert result.returncode == 2
    assert "no space left on the disk" in result.stderr
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["config.toml", "metrics.jsonl"]


def test_a_measurement_for_other_sites(tmp_path):
    elements = np.stack([named_povm("pauli4").elements] * 3)
    with pytest.raises(InputError, match="given for 3 sites, asked for 4"):
        write_records(tmp_path / "a.h5", [np.zeros((2, 4), np.uint8)], 4, POVM(elements, "three"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--povm", "pauli5"), "--povm pauli5: neither a file nor a measurement; known: pauli4"),
        (("--axes", "X,Y"), "axes 'X,Y': expected X, Y and Z once each"),
        (("--settings", "none.txt"), "none.txt: cannot be read as a text file of settings"),
        (("--settings", "random", "--povm", "sic"), "settings go with bases X, Y and Z"),
        (("--noise", "readout:2"), "readout: probability is 2.0, expected 0 to 1"),
        (("--shard", "3"), "'3' is not I/N, such as 0/4"),
        (("--shard", "4/4"), "shard is 4 of 4, expected 0 to 3"),
        (("--device", "tpu"), "device = 'tpu', expected auto, cpu or cuda"),
    ],
)
def test_ways_to_measure_that_are_none(refused, tmp_path, options, fault):
    message = refused("simulate", "tfim", "--qubits", 4, *options, "--output", tmp_path / "a.h5")
    assert fault in message


def test_states_that_are_none(refused, tmp_path):
    np.save(tmp_path / "rho.npy", np.eye(4) * 0.225)
    message = refused("simulate", "state", "--file", tmp_path / "rho.npy", "--output", tmp_path / "a.h5")
    assert message == f"qtomo: {tmp_path / 'rho.npy'}: a density matrix has trace 0.9, expected 1"
    assert "shard 'a.shard-0-of-2.h5' is missing (2 of 2 are)" in refused("join", tmp_path / "a.h5", "--shards", 2)


def test_targets_that_are_none(refused, copied, tmp_path):
    assert "verify --plan is a command of its own now: qtomo plan" in refused("verify", "x.h5", "--plan")
    assert "target 'cat': neither a file nor a state; known: tfim" in refused("verify", copied, "--target", "cat")
    (tmp_path / "lab.csv").write_text("ZZ,01\n")
    lab, text = ("import", "csv", tmp_path / "lab.csv", "--dry-run"), tmp_path / "a.qasm"
    text.write_text("qreg q[2];")
    assert "target 'cat': neither a file nor a state" in refused(*lab, "--target", "cat")
    assert "'0' is not pairs of sites" in refused(*lab, "--target", "graph", "--parameter", "edges=0")
    assert "'0-1,1' is not pairs of sites" in refused("verify", copied, "--target", "graph", "--edges", "0-1,1")
    assert "no parameter 'edges'" in refused("verify", copied, "--target", "graph")
    assert "a circuit without 'OPENQASM" in refused("verify", copied, "--target", "circuit", "--qasm", text)
    assert f"{text}: a circuit without 'OPENQASM" in refused("verify", copied, "--target", text)
    twice = refused("verify", copied, "--target", text, "--qasm", text)
    assert "--qasm: a circuit's file has no such parameter" in twice
    assert "a ghz has no such parameter" in refused("verify", copied, "--target", "ghz", "--field", 1)
    assert "expected --target beside it" in refused("verify", copied, "--field", 1)
    assert "--target tfim: expected --qubits" in refused("plan", "--target", "tfim")
    assert "unknown fault 'x'" in refused("plan", "--target", "ghz", "--qubits", 3, "--fault", "x:1")
    assert "--power goes without --certify" in refused("plan", "--certify", 0.9, "--power", 0.9)
    assert "--expected goes with --certify" in refused("plan", "--target", "ghz", "--expected", 0.9)
    path = write_records(tmp_path / "a.h5", [np.zeros((99, 2), np.uint8)], 2, named_povm("sic"))
    assert "names no target" in refused("verify", path)


RATE = '"training.learning_rate"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sweep]\n", "[space]: no option, expected such as"),
        ("[sweeep]\n", "unknown section 'sweeep'; did you mean 'sweep'?"),
        ("[sweep]\ntrails = 3\n[space]\n", "[sweep]: unknown option 'trails'; did you mean 'trials'?"),
        ("[sweep]\ntrials = 0\n[space]\n", "[sweep]: trials = 0: input should be greater than or equal to 1"),
        ("[training]\nepoch = 3\n", "[training]: unknown option 'epoch'; did you mean 'epochs'?"),
        ("[space]\nrate = { low = 1, high = 2 }", "[space]: unknown section 'rate'"),
        ("[space]\nepochs = 3", "[space]: unknown section 'epochs'"),
        ('[space]\n"trainig.epochs" = { low = 1, high = 2 }', "unknown section 'trainig'; did you mean 'training'?"),
        (
            '[space]\n"training.learnig_rate" = { low = 1e-3, high = 2e-2 }',
            "[space] training.learnig_rate: unknown option 'learnig_rate'; did you mean 'learning_rate'?",
        ),
        ("[space]\nmodel.site_sise = { choices = [4] }", "unknown option 'site_sise'; did you mean 'site_size'?"),
        (f"[space]\n{RATE} = 0.1", "training.learning_rate = 0.1, expected { low = …, high = … } or { choices"),
        (f"[space]\n{RATE} = {{ low = 0.1 }}", "learning_rate: high = {'low': 0.1}: field required"),
        (f"[space]\n{RATE} = {{ low = 0.2, high = 0.1 }}", "high = 0.1: value error, expected more than low = 0.2"),
        (f"[space]\n{RATE} = {{ low = 'a', high = 0.1 }}", "low = 'a': value error, expected a number"),
        (f"[space]\n{RATE} = {{ low = 0.1, hihg = 0.2 }}", "learning_rate: unknown key 'hihg'; did you mean 'high'?"),
        (f"[space]\n{RATE} = {{ low = 0.0, high = 0.2, log = true }}", "expected low above 0, found low = 0.0"),
        (f"[space]\n{RATE} = {{ low = 0.1, high = 0.2, log = true, step = 0.1 }}", "expected no step where log = true"),
        (f"[space]\n{RATE} = {{ low = 0.1, high = 0.3, step = 0.15 }}", "a whole number of steps from low = 0.1 to"),
        (f"[space]\n{RATE} = {{ low = 0.0, high = 0.2 }}", "learning_rate: learning_rate = 0.0: input should be great"),
        (f"[space]\n{RATE} = {{ choices = [] }}", "choices = []: list should have at least 1 item"),
        (f"[space]\n{RATE} = {{ choices = [0.1, 0.1] }}", "choices = [0.1, 0.1]: value error, 0.1 stands there twice"),
        (f"[space]\n{RATE} = {{ choices = [0.1], low = 0.1 }}", "choices beside low, expected choices alone, or a"),
        (
            '[space]\n"model.layers" = { low = 1, high = 2.5 }',
            "model.layers: layers = 2.5: input should be a valid int",
        ),
        ('[space]\n"model.layers" = { low = 1, high = 9, step = 0.5 }', "expected a whole number, as low and high are"),
        ('[space]\n"model.learned_start" = { low = 0, high = 1 }', "low = False: value error, expected a number"),
        ('[space]\n"model.order" = { choices = ["left"] }', "model.order: order = 'left'"),
        (
            "[sweep]\ntrials = 1\n[space]\nmodel.order = { choices = [[0, 1, 2, 3, 3]] }",
            "model.order: site 3 stands there twice",
        ),
        ('[space]\n"model.family" = { choices = ["gru"] }', "model.family: a sweep is of one family"),
        ('[space]\n"training.seed" = { low = 1, high = 9 }', "training.seed: it also chooses the records kept for"),
        (
            "[sweep]\ntrials = 7\n[space]\nmodel.layers = { low = 1, high = 6 }",
            "[sweep]: trials = 7, expected at most 6, the number of different settings",
        ),
        ("[space", "plan.toml: not a readable TOML file"),
    ],
)
def test_plans_of_sweeps(refused, copied, tmp_path, text, words):
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    message = refused("train", copied, "--output", tmp_path / "found", "--sweep", plan)
    assert words in message
    if "stands there twice, expected each" not in message:  # of a model, which knows no file
        assert message.startswith(f"qtomo: {plan}")


def test_sweeps_in_vain(refused, copied, small_run, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text("[sweep]\ntrials = 2\n[space]\nmodel.layers = { low = 1, high = 2 }\n")
    assert "expected RECORDS and --output RUN" in refused("train", "--sweep", plan)
    assert "--resume goes on with a run's own settings" in refused("train", "--sweep", plan, "--resume", "run")
    none = tmp_path / "none.toml"
    assert f"{none}: no such file" in refused("train", copied, "--output", tmp_path / "found", "--sweep", none)
    nowhere = tmp_path / "no" / "found"
    assert "its folder does not exist" in refused("train", copied, "--output", nowhere, "--sweep", plan)
    run = Path(shutil.copytree(small_run.folder.path, tmp_path / "run"))
    message = refused("train", copied, "--output", run, "--sweep", plan, "--overwrite")
    assert "exists and is not a sweep folder (no sweep.toml)" in message
    few = ("--set", "training.validation_records=3000")
    assert "expected more than the 3000 kept" in refused("train", copied, "--output", "found", "--sweep", plan, *few)
