"""Settings: presets, files and assignments in that order, and errors that name the near miss."""

import pytest

from qtomo.errors import Code
from qtomo.models.registry import FAMILIES
from qtomo.training.config import RunConfig, read_settings
from qtomo.training.presets import PRESETS
from tests.refusing import refused


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_complete(preset):
    settings = read_settings(preset)
    assert settings["model"]["family"] in FAMILIES
    assert settings["training"]["epochs"] >= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_preset_of_its_name(family):
    assert read_settings(family)["model"]["family"] == family


def test_later_settings_win(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[model]\nhidden_size = 7\nlayers = 2\n[training]\nepochs = 3\n")
    settings = read_settings("gru", file, ["training.epochs=5", "model.layers = 1", "training.schedule=constant"])
    assert settings["model"]["hidden_size"] == 7
    assert settings["model"]["layers"] == 1
    assert settings["training"]["epochs"] == 5
    assert settings["training"]["schedule"] == "constant"


def test_another_family_starts_from_its_own_defaults():
    settings = read_settings("carrasquilla2018", None, ["model.family=lstm"])
    assert settings["model"]["layers"] == 1
    assert settings["training"]["batch_size"] == 500


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_brings_its_preset(family, monkeypatch):
    settings = read_settings(family=family)
    assert settings["model"]["family"] == family
    assert settings == read_settings(family)
    monkeypatch.setattr(FAMILIES[family], "preset", {"epochs": 77})
    assert read_settings(family=family)["model"] == settings["model"]
    assert read_settings(family=family)["training"]["epochs"] == 77


@pytest.mark.parametrize(
    ("assignments", "code", "fault"),
    [
        (["training.epoch=5"], Code.UNKNOWN, r"--set \[training\]: unknown option 'epoch'; did you mean 'epochs'"),
        (
            ["model.hiddensize=5"],
            Code.UNKNOWN,
            r"--set \[model\]: unknown option 'hiddensize'; did you mean 'hidden_size'",
        ),
        (["trainig.epochs=5"], Code.UNKNOWN, "--set: unknown section 'trainig'; did you mean 'training'"),
        (["training.epochs=-1"], Code.VALUE, "epochs = -1: input should be greater than"),
        (["training.learning_rate=nan"], Code.VALUE, "learning_rate = nan"),
        (["training.epochs=many"], Code.VALUE, "epochs = 'many'"),
        (["epochs=5"], Code.SYNTAX, "expected section.option=value"),
        (
            ["training.accumulation=9", "training.batch_size=8"],
            Code.VALUE,
            "accumulation = 9: .*expected at most batch_size, 8 rec",
        ),
        (["training.precision=float16"], Code.VALUE, "precision = 'float16'"),
        (["training.memory_gib=0"], Code.VALUE, "memory_gib = 0"),
        (["training.schedule=cosin"], Code.VALUE, "schedule = 'cosin'"),
    ],
)
def test_wrong_assignments(assignments, code, fault):
    with refused(code, fault):
        read_settings("gru", None, assignments)


def test_wrong_presets_and_files(tmp_path):
    with refused(Code.UNKNOWN, r"--model.*'realnvq'; did you mean 'realnvp'"):
        read_settings(family="realnvq")
    with refused(Code.UNKNOWN, "'gruu'; did you mean 'gru'"):
        read_settings("gruu")
    with refused(Code.ABSENT):
        read_settings("gru", tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("epochs = ")
    with refused(Code.DAMAGED, r"bad\.toml"):
        read_settings("gru", tmp_path / "bad.toml")
    (tmp_path / "flat.toml").write_text("training = 5")
    with refused(Code.VALUE, "training = 5"):
        read_settings("gru", tmp_path / "flat.toml")


def test_a_run_s_config_is_read_back(small_run, tmp_path):
    config = RunConfig.load(small_run.folder.config)
    assert config == small_run.config
    copy = tmp_path / "config.toml"
    copy.write_text(small_run.folder.config.read_text().replace("[training]", "[training]\nepochss = 3"))
    with refused(Code.UNKNOWN, "'epochss'; did you mean 'epochs'"):
        RunConfig.load(copy)
    copy.write_text("[records]\n")
    with refused(Code.ABSENT, r"\[model\]"):
        RunConfig.load(copy)
