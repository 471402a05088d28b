"""Every command does its work, says so, and prints one JSON object when asked."""

import json
import re
import signal

import pytest
import torch
from qtomo_cli.main import COMMANDS
from qtomo_cli.target import target_of
from safetensors.torch import load_file

from qtomo import TFIM, Graph, RecordFile
from qtomo.states.library import SYSTEMS
from qtomo.states.system import in_words, option_name
from qtomo.training import loop
from tests.systems.named import example, ghz_circuit, parameters

SIMULATE = ("simulate", "tfim", "--qubits", 4, "--shots", 600, "--seed", 7)
TRAIN = ("--set", "model.hidden_size=6", "--set", "training.epochs=1")


@pytest.fixture
def made(qtomo, tmp_path):
    records, run = tmp_path / "tfim.h5", tmp_path / "run"
    assert qtomo(*SIMULATE, "--output", records).code == 0
    assert qtomo("train", records, "--output", run, *TRAIN).code == 0
    return records, run


def test_the_whole_line(qtomo, made, tmp_path):
    records, run = made
    info = qtomo("info", records)
    assert "600" in info.output
    assert "(holds)" in info.output
    assert "gru" in qtomo("info", run).output
    assert qtomo("sample", run, "--shots", 50, "--output", tmp_path / "drawn.h5").code == 0
    assert RecordFile(tmp_path / "drawn.h5").n_records == 50
    verdict = qtomo("evaluate", run, "--samples", 200)
    assert "KL(target‖model)" in verdict.output
    assert "scoring" in verdict.errors


def test_json_is_one_object_and_nothing_else(qtomo, made, tmp_path):
    records, run = made
    commands = [
        (*SIMULATE, "--output", tmp_path / "again.h5"),
        ("info", records),
        ("info", run),
        ("train", records, "--output", tmp_path / "run2", *TRAIN),
        ("train", "--resume", tmp_path / "run2"),
        ("sample", run, "--shots", 20, "--output", tmp_path / "drawn.h5"),
        ("evaluate", run, "--samples", 100),
        ("compare", run, "--samples", 100),
    ]
    for command in commands:
        result = qtomo(*command, "--json")
        assert result.code == 0, result.errors
        assert isinstance(json.loads(result.output), dict)


def test_same_seed_same_bytes(qtomo, made, tmp_path):
    records, run = made
    assert qtomo(*SIMULATE, "--output", tmp_path / "again.h5").code == 0
    assert (tmp_path / "again.h5").read_bytes() == records.read_bytes()
    assert qtomo("train", tmp_path / "again.h5", "--output", tmp_path / "run2", *TRAIN).code == 0
    weights = [load_file(folder / "checkpoint" / "latest.safetensors") for folder in (run, tmp_path / "run2")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_the_command_kept_in_a_file_makes_it_again(qtomo, made, tmp_path):
    records, _ = made
    with RecordFile(records) as file:
        words = file.command.split()
    assert qtomo(*words[1:], "--output", tmp_path / "again.h5").code == 0
    assert (tmp_path / "again.h5").read_bytes() == records.read_bytes()


def test_a_moved_record_file_is_named(qtomo, made, tmp_path):
    records, run = made
    (tmp_path / "elsewhere").mkdir()
    moved = records.rename(tmp_path / "elsewhere" / "renamed.h5")
    missing = qtomo("evaluate", run)
    assert missing.code == 2
    assert "no such file" in missing.errors
    assert qtomo("evaluate", run, "--records", moved, "--samples", 100).code == 0


def test_a_small_demo(qtomo, tmp_path):
    result = qtomo("demo", "--qubits", 4, "--shots", 400, "--epochs", 1, "--output", tmp_path / "demo")
    assert result.code == 0, result.errors
    assert "F_c [95 % interval]" in result.output
    assert (tmp_path / "demo" / "demo.png").read_bytes().startswith(b"\x89PNG")
    report = tmp_path / "demo" / "run" / "report.html"
    assert str(report) in result.output
    assert "</html>" in report.read_text(encoding="utf-8")
    written = qtomo("report", report.parent, "-o", tmp_path / "a.html")
    assert (written.code, written.output.strip()) == (0, str(tmp_path / "a.html"))
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == report.read_text(encoding="utf-8")
    again = qtomo("demo", "--qubits", 4, "--shots", 400, "--epochs", 1, "--output", tmp_path / "demo")
    assert again.code == 2
    assert "exists already" in again.errors


def test_runs_are_compared(qtomo, made, tmp_path):
    records, run = made
    machine = tmp_path / "machine"
    settings = ("--preset", "rbm", "--set", "model.hidden_size=4", "--set", "training.epochs=1")
    assert qtomo("train", records, "--output", machine, *settings).code == 0
    figure = tmp_path / "families.png"
    result = qtomo("compare", run, machine, "--samples", 200, "--figure", figure)
    assert result.code == 0, result.errors
    assert "machine (rbm)" in result.output
    assert figure.read_bytes().startswith(b"\x89PNG")
    again = qtomo("compare", run, machine, "--samples", 200, "--figure", figure, "--json")
    assert again.code == 2
    assert "exists already" in again.errors
    found = json.loads(qtomo("compare", run, machine, "--samples", 200, "--json").output)
    assert list(found["entries"])[-2:] == ["run", "machine"]


def test_a_game_is_not_told_in_nats(qtomo, made, tmp_path):
    records, _ = made
    settings = ("--model", "gan", "--set", "model.hidden_size=4", "--set", "training.epochs=1")
    assert qtomo("train", records, "--output", tmp_path / "gan", *settings).code == 0
    output = " ".join(qtomo("info", tmp_path / "gan").output.split())
    assert "squared distance of two-site marginals (epoch 1)" in output


def test_record_files_are_compared(qtomo, made, tmp_path):
    records, _ = made
    other = tmp_path / "other.h5"
    assert qtomo(*SIMULATE, "--seed", 5, "--output", other).code == 0
    result = qtomo("compare", records, other)
    assert result.code == 0, result.errors
    assert "No difference found" in result.output
    found = json.loads(qtomo("compare", records, other, "--json").output)
    assert found["files"][str(other)]["differs"] is False


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(qtomo, name):
    result = qtomo(name, "--help")
    assert result.code == 0
    assert re.search(rf"Example: qtomo {name} ", result.output)


@pytest.mark.parametrize("family", SYSTEMS)
def test_every_system_is_simulated(qtomo, family, tmp_path):
    assert f"Example: qtomo simulate {family} " in " ".join(qtomo("simulate", family, "--help").output.split())
    path, again = tmp_path / "a.h5", tmp_path / "b.h5"
    noise = ("--noise", "depolarizing:0.1@0,2", "--noise", "dephasing:0.05")
    given = parameters(family, 4)
    if "qasm" in given:
        (tmp_path / "a.qasm").write_text(given["qasm"])
        given["qasm"] = str(tmp_path / "a.qasm")
    own = [word for name, value in given.items() for word in (option_name(name), in_words(value))]
    result = qtomo("simulate", family, *own, "--shots", 50, *noise, "--output", path)
    assert result.code == 0, result.errors
    with RecordFile(path) as file:
        assert file.povm.name == "pauli4 after dephasing:0.05 after depolarizing:0.1@0,2"
        assert file.povm.elements.shape == (4, 4, 2, 2)
        assert file.target.system == example(family, 4)
        words = file.command.split()
    assert qtomo(*words[1:], "--output", again).code == 0
    assert again.read_bytes() == path.read_bytes()


def test_a_circuit_is_simulated_verified_planned_and_imported(qtomo, tmp_path):
    """`--target` takes a circuit's file everywhere, and the text with the family's own option."""
    circuit, path, lab = tmp_path / "ghz.qasm", tmp_path / "a.h5", tmp_path / "lab.csv"
    circuit.write_text(ghz_circuit(3))
    shots = ("--shots", 300, "--povm", "pauli6", "--settings", "random")
    assert qtomo("simulate", "circuit", "--qasm", circuit, *shots, "--output", path).code == 0
    described = " ".join(qtomo("info", path).output.split())
    assert "circuit: bond_dim 256, n_sites 3, truncation 0.0, qasm of" in described
    assert qtomo("verify", path, "--target", circuit, "--alternative", "none").code == 0
    known = {"bond_dim": 2, "qasm": circuit.read_text()}
    assert target_of("circuit", known, 3) == target_of(str(circuit), {"bond_dim": 2}, None)
    assert target_of("graph", {"edges": ((0, 1),)}, 3) == Graph(3, ((0, 1),))
    lab.write_text("ZZZ,000\nZZZ,111\n")
    for target in (("circuit", "--parameter", f"qasm={circuit}"), (circuit,), (path,)):
        result = qtomo("import", "csv", lab, "--target", *target, "--dry-run")
        assert result.code == 0, result.errors
        assert "target: circuit: " in result.output or target == (path,)
    again = tmp_path / "b.h5"
    assert qtomo("simulate", "state", "--file", circuit, *shots, "--output", again).code == 0
    with RecordFile(path) as first, RecordFile(again) as second:
        assert first.target.parameters == second.target.parameters


def test_losses_are_kept_and_not_learned(qtomo, tmp_path):
    path = tmp_path / "a.h5"
    assert qtomo(*SIMULATE, "--loss", 0.1, "--output", path).code == 0
    lost = json.loads(qtomo("info", path, "--json").output)["lost outcomes"]
    assert 0.05 < lost / 2400 < 0.15
    refused = qtomo("train", path, "--output", tmp_path / "run", *TRAIN)
    assert refused.code == 2
    assert "outcome lost, expected whole records, the only ones that models learn from" in refused.errors
    assert not (tmp_path / "run").exists()


def test_a_disordered_chain(qtomo, tmp_path):
    path = tmp_path / "a.h5"
    chain = ("--qubits", 3, "--coupling", "1,0.5", "--field", "1.0,-0.5,2", "--shots", 50)
    assert qtomo("simulate", "tfim", *chain, "--output", path).code == 0
    with RecordFile(path) as file:
        assert file.target.system == TFIM(3, (1.0, 0.5), (1.0, -0.5, 2.0))
        assert "coupling 0.5 to 1.0" in file.target.describe()
    wrong = qtomo("simulate", "tfim", "--qubits", 4, "--coupling", "1,0.5", "--output", tmp_path / "b.h5")
    assert "coupling has 2 values, expected one, or 3" in wrong.errors


def test_a_degenerate_ground_state_is_told(qtomo, tmp_path):
    result = qtomo("simulate", "tfim", "--qubits", 6, "--field", 0, "--shots", 10, "--output", tmp_path / "a.h5")
    assert result.code == 0
    assert "degenerate" in result.errors


def test_version(qtomo):
    assert qtomo("--version").output.startswith("qtomo, version")


def test_every_way_to_measure(qtomo, tmp_path):
    (tmp_path / "settings.txt").write_text("Z 200\nXZZX 100\n")
    base = ("simulate", "tfim", "--qubits", 4, "--seed", 1)
    ways = {
        "random": ("--settings", "random", "--shots", 300, "--noise", "readout:0.01/0.02"),
        "listed": ("--settings", tmp_path / "settings.txt"),
        "turned": ("--shots", 300, "--axes", "-X,Y,Z@0,1", "--povm", "pauli4"),
        "trine": ("--shots", 300, "--povm", "trine"),
    }
    for name, options in ways.items():
        assert qtomo(*base, *options, "--output", tmp_path / f"{name}.h5").code == 0
        assert RecordFile(tmp_path / f"{name}.h5").n_records == 300
    assert "not informationally complete" in qtomo("info", tmp_path / "trine.h5").output
    assert "recorded per shot, listed" in qtomo("info", tmp_path / "listed.h5").output
    command = RecordFile(tmp_path / "turned.h5").command
    assert command == "qtomo simulate tfim --qubits 4 --seed 1 --shots 300 --axes -X,Y,Z@0,1 --povm pauli4"


def test_a_state_and_a_povm_from_files(qtomo, made, tmp_path):
    records, _ = made
    options = ("--povm", records, "--shots", 200, "--seed", 2)
    assert qtomo("simulate", "state", "--file", records, *options, "--output", tmp_path / "a.h5").code == 0
    system = ("simulate", "tfim", "--qubits", 4)
    assert qtomo(*system, "--shots", 200, "--seed", 2, "--output", tmp_path / "b.h5").code == 0
    one, other = RecordFile(tmp_path / "a.h5"), RecordFile(tmp_path / "b.h5")
    assert (one.load() == other.load()).all()


def test_shards_by_hand(qtomo, tmp_path):
    base = ("simulate", "ghz", "--qubits", 3, "--shots", 20_000, "--output", tmp_path / "a.h5")
    for shard in ("0/2", "1/2"):
        assert qtomo(*base, "--shard", shard).code == 0
    assert json.loads(qtomo("join", tmp_path / "a.h5", "--shards", 2, "--json").output)["n_records"] == 20_000
    assert "20000" in qtomo("info", tmp_path / "a.h5").output


def test_verify_says_it_in_words_in_json_and_in_its_exit_code(qtomo, tmp_path):
    base = ("simulate", "tfim", "--qubits", 4, "--shots", 800, "--seed", 1)
    assert qtomo(*base, "--output", tmp_path / "good.h5").code == 0
    fault = ("--noise", "depolarizing:1@2", "--undeclared")
    assert qtomo(*base, *fault, "--output", tmp_path / "bad.h5").code == 0
    target = ("--target", "tfim", "--coupling", 1, "--field", 1)
    good = qtomo("verify", tmp_path / "good.h5", *target, "--alternative", "kgram", "--json")
    assert good.code == 0
    assert json.loads(good.output)["verdict"] != "inconsistent"
    bad = qtomo("verify", tmp_path / "bad.h5", *target, "--figure", tmp_path / "map.png")
    assert bad.code == 1
    assert bad.output.startswith("INCONSISTENT: depolarizing on qubit 2, probability ")
    assert ", 1.000]" in bad.output.splitlines()[0]  # it may be dead
    assert all(len(line) <= 80 for line in bad.output.splitlines() if str(tmp_path) not in line)
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "bad.verification.json").read_text())["verdict"] == "inconsistent"
    chosen = tmp_path / "verdict.json"
    options = ("--alternative", "none", "-o", chosen)
    assert qtomo("verify", tmp_path / "bad.h5", *options).code == 1
    assert str(chosen) not in json.loads(chosen.read_text())["command"]
    report = qtomo("report", chosen, "--output", tmp_path / "bad.html", "--figure-format", "svg")
    assert (report.code, report.output.strip()) == (0, str(tmp_path / "bad.html"))
    assert sorted(path.name for path in (tmp_path / "bad-figures").iterdir())[0] == "batches.svg"
    records = qtomo("report", tmp_path / "bad.h5", "--output", tmp_path / "no.html")
    assert records.code == 2
    assert "verify records first" in records.errors
    assert qtomo("verify", tmp_path / "bad.h5", "--figure", tmp_path / "map.gif").code == 2


def test_verify_has_an_error_rate_and_a_level(qtomo, tmp_path):
    path = tmp_path / "a.h5"
    assert qtomo("simulate", "ghz", "--qubits", 3, "--shots", 300, "--seed", 1, "--output", path).code == 0
    result = qtomo("verify", path, "--alpha", 0.2, "--level", 0.8, "--alternative", "none", "--json")
    found = json.loads(result.output)
    assert (found["alpha"], found["level"]) == (0.2, 0.8)
    assert {estimate["level"] for estimate in found["map"]["sites"]} == {0.8}
    for option, value, message in (
        ("--confidence", 0.9, "--confidence is called --level now"),
        ("--level", 0.01, "level is 0.01, expected a confidence"),
        ("--alpha", 0.95, "alpha is 0.95, expected more than 0 and at most 0.5"),
    ):
        refused = qtomo("verify", path, option, value)
        assert refused.code == 2
        assert message in refused.errors


def test_verify_plans(qtomo):
    plan = ("plan", "--target", "tfim", "--qubits", 4, "--fault", "depolarizing:0.05", "--json")
    assert json.loads(qtomo(*plan).output)["records_needed"]["depolarizing:0.05"]["sic"]["value"] > 100


PLAN = """
[sweep]
trials = 3
startup = 1

[space]
model.hidden_size = { low = 3, high = 6 }
"""


def test_a_sweep_is_interrupted_resumed_and_told(qtomo, made, tmp_path, monkeypatch):
    records, _ = made
    plan, folder = tmp_path / "plan.toml", tmp_path / "found"
    plan.write_text(PLAN)
    command = ("train", records, "--sweep", plan, *TRAIN, "--output")
    judge, calls = loop.validation_loss, []

    def judge_interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return judge(*arguments)

    monkeypatch.setattr(loop, "validation_loss", judge_interrupted)
    stopped = qtomo(*command, folder)
    assert (stopped.code, stopped.output) == (130, "")
    last = stopped.errors.strip().splitlines()[-1]
    assert last == f"qtomo: stopped and saved; go on with: qtomo train --resume {folder}"
    told = qtomo("train", "--resume", folder)
    assert told.code == 0
    assert told.errors.strip().splitlines()[-1] == "sweep: 3 of 3 trials"
    lines = told.output.splitlines()
    assert lines[0] == f"{folder}: 3 trials of gru  (nats per record)"
    found = json.loads(qtomo("train", "--resume", folder, "--json").output)
    ranked = sorted(found["trials"], key=lambda trial: trial["loss"])
    assert [line.split()[0] for line in lines[4:7]] == [f"{trial['number']:04d}" for trial in ranked]
    assert [line.split()[1] for line in lines[4:7]] == [f"{trial['loss']:.3f}" for trial in ranked]
    assert found["best"] == ranked[0]["number"]
    near = [t["number"] for t in ranked[1:] if t["loss"] <= ranked[0]["loss"] + ranked[0]["loss_error"]]
    assert found["within_one_standard_error"] == near
    best = qtomo("train", records, "--config", folder / "best.toml", "--output", tmp_path / "best", "--json")
    assert json.loads(best.output)["validation_loss"] == ranked[0]["loss"]
    assert qtomo("compare", *(trial["run"] for trial in ranked), "--samples", 100).code == 0
    again = json.loads(qtomo(*command, tmp_path / "again", "--json").output)
    assert [trial["loss"] for trial in again["trials"]] == [trial["loss"] for trial in found["trials"]]
