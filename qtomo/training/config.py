"""What a training run is made of: records, model and optimiser, in one strict TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
import torch
from pydantic import Field, ValidationInfo, field_validator

from qtomo.config import Config, near_miss
from qtomo.errors import Code, InputError
from qtomo.models.base import Model
from qtomo.models.registry import build_model, parse_model
from qtomo.seeds import stream
from qtomo.training.presets import PRESETS

__all__ = [
    "SHORTCUTS",
    "RecordsConfig",
    "RunConfig",
    "TrainingConfig",
    "check_sections",
    "merge_settings",
    "parse_settings",
    "read_settings",
    "read_toml",
]


class TrainingConfig(Config):
    """Settings of the training loop, the same for every family."""

    #: Every random number of the run is a function of it.
    seed: int = Field(0, ge=0, lt=2**63)
    #: Passes over the training records.
    epochs: int = Field(10, ge=1)
    #: Records a step, of all processes together.
    batch_size: int = Field(200, ge=1)
    #: Parts in which each process computes its share of a batch, one after the other, to save memory.
    accumulation: int = Field(1, ge=1)
    #: Adam's step size, at its highest.
    learning_rate: float = Field(8e-3, gt=0)
    #: How much of Adam's mean of gradients is kept at each step (beta_1 of arXiv 1412.6980).
    momentum: float = Field(0.9, ge=0, lt=1)
    #: `cosine` decays the learning rate to zero over the run; `constant` keeps it.
    schedule: Literal["cosine", "constant"] = "cosine"
    #: Steps over which the learning rate rises from zero.
    warmup_steps: int = Field(50, ge=0)
    #: Largest norm of the gradient; longer ones are scaled down to it. 0 leaves them.
    gradient_clip: float = Field(1.0, ge=0)
    #: Decoupled weight decay (AdamW, arXiv 1711.05101).
    weight_decay: float = Field(0.0, ge=0)
    #: Validate and keep an exponential moving average of the weights over about 1 / (1 - averaging) steps
    #: (Polyak and Juditsky 1992; arXiv 1806.00582 writes it so); fewer at the start. 0 keeps the weights themselves.
    averaging: float = Field(0.0, ge=0, lt=1)
    #: Stop after this many epochs without a better validation loss. 0 never stops early.
    patience: int = Field(0, ge=0)
    #: Records kept for validation: this many, or where 0 5 % of them, at most 10,000.
    validation_records: int = Field(0, ge=0)
    #: Seconds between checkpoints inside an epoch; each epoch ends with one.
    checkpoint_seconds: float = Field(60.0, gt=0)
    #: Where to train; `auto` takes a GPU if there is one.
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: `bfloat16` computes the training loss in mixed precision; weights and validation stay in float32.
    precision: Literal["float32", "bfloat16"] = "float32"
    #: Compile the training loss (torch.compile), which takes a minute and pays in long trainings on a GPU.
    compile: bool = False
    #: Memory for the records of a process, in GiB; outcomes that need more, a byte each, are streamed from the file.
    memory_gib: float = Field(4.0, gt=0)

    @field_validator("accumulation")
    @classmethod
    def _parts_of_a_batch(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("batch_size", value):
            raise ValueError(f"expected at most batch_size, {info.data['batch_size']} records")
        return value

    def n_validation(self, n_records: int) -> int:
        """Number of records kept for validation out of `n_records`."""
        return self.validation_records or max(1, min(10_000, n_records // 20))


class RecordsConfig(Config):
    """The records of a run, so that it is never continued or judged with others."""

    #: Path of the record file, relative to the run folder where it can be.
    file: str
    #: SHA-256 of the outcomes.
    sha256: str
    n_records: int
    n_sites: int
    n_outcomes: int


class RunConfig(Config):
    """All of `config.toml`: enough to run it again."""

    records: RecordsConfig
    model: dict[str, Any]
    training: TrainingConfig

    def save_text(self) -> str:
        """The settings as TOML."""
        return tomli_w.dumps(self.model_dump())

    def new_model(self) -> Model:
        """The model as it is before training, drawn by the run's seed.

        Raises:
            InputError: a setting of the model does not fit the records' number of sites or outcomes.
        """
        with torch.random.fork_rng():
            torch.manual_seed(int(stream(self.training.seed, "weights").integers(2**63)))
            return build_model(self.model, self.records.n_sites, self.records.n_outcomes)

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Read a run's `config.toml`.

        Raises:
            InputError: missing, not TOML, or with unknown or wrong settings.
        """
        values = read_toml(path)
        check_sections(values, list(cls.model_fields), str(path))
        for section in cls.model_fields:
            if section not in values:
                raise InputError(Code.ABSENT, f"{path}: no section [{section}]")
        return cls(
            records=RecordsConfig.parse(values["records"], f"{path} [records]"),
            model=parse_model(values["model"], f"{path} [model]"),
            training=TrainingConfig.parse(values["training"], f"{path} [training]"),
        )


#: Options that stand for one setting each, and the section that this is in.
SHORTCUTS = {
    "epochs": "training",
    "batch_size": "training",
    "learning_rate": "training",
    "hidden_size": "model",
    "seed": "training",
    "device": "training",
}


def read_settings(
    preset: str = "gru",
    file: Path | None = None,
    assignments: Iterable[str] = (),
    family: str | None = None,
    shortcuts: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Sections `model` and `training`: a preset, changed by a TOML file, changed by `section.key=value`, changed by
    values of `SHORTCUTS`.

    A `family` takes the place of the preset: its preset of the same name, else its defaults.
    A file or assignment that names another family starts from that family's defaults. The file may be a run's
    `config.toml`, whose section of records is passed over.

    Raises:
        InputError: an unknown preset, family, section or option (names the near miss), or a bad value.
    """
    if family is not None:
        layers = [("--model", preset_of(family))]
    elif preset in PRESETS:
        layers = [(f"preset {preset}", PRESETS[preset])]
    else:
        raise InputError(Code.UNKNOWN, f"unknown preset '{preset}'{near_miss(preset, list(PRESETS))}")
    if file is not None:
        values = read_toml(file)
        layers.append((str(file), {name: section for name, section in values.items() if name != "records"}))
    layers.extend(("--set", _parse_assignment(text)) for text in assignments)
    for name, value in (shortcuts or {}).items():
        layers.append((f"--{name.replace('_', '-')}", {SHORTCUTS[name]: {name: value}}))
    return merge_settings(layers)


def preset_of(family: str) -> dict[str, dict[str, Any]]:
    """The preset of a family's own name; without options where it has none."""
    return PRESETS.get(family, {"model": {"family": family}})


def merge_settings(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Sections `model` and `training` from (source, sections), the later over the earlier, complete with defaults.

    A layer that names another family starts from that family's defaults.

    Raises:
        InputError: an unknown section or option (names the near miss), or a bad value; says which source.
    """
    settings: dict[str, dict[str, Any]] = {"model": {}, "training": {}}
    place = {"model": "[model]", "training": "[training]"}
    for source, layer in layers:
        check_sections(layer, list(settings), source)
        for section, values in layer.items():
            if section == "model" and values.get("family", settings["model"].get("family")) != settings["model"].get(
                "family"
            ):
                settings["model"] = {}
            settings[section].update(values)
            place[section] = f"{source} [{section}]"
    return parse_settings(settings, place)


def parse_settings(
    settings: Mapping[str, Mapping[str, Any]], place: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """The same sections, checked and completed with defaults.

    Raises:
        InputError: an unknown section or option (names the near miss), or a bad value.
    """
    place = place or {"model": "[model]", "training": "[training]"}
    check_sections(settings, ["model", "training"], "settings")
    training = TrainingConfig.parse(settings.get("training", {}), place["training"])
    return {
        "model": parse_model({"family": "gru", **settings.get("model", {})}, place["model"]),
        "training": training.model_dump(),
    }


def check_sections(values: Mapping[str, Any], known: list[str], place: str) -> None:
    """Make sure that `values` is sections of known names.

    Raises:
        InputError: an unknown section (names the near miss), or something that is none; `place` says where.
    """
    for name, section in values.items():
        if name not in known:
            raise InputError(Code.UNKNOWN, f"{place}: unknown section '{name}'{near_miss(name, known)}")
        if not isinstance(section, Mapping):
            raise InputError(Code.VALUE, f"{place}: {name} = {section!r}, expected a section [{name}]")


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        InputError: missing, not readable or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(Code.ABSENT, f"{path}: no such file, expected a TOML file of settings") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(Code.DAMAGED, f"{path}: not a readable TOML file ({error})") from None


def _parse_assignment(text: str) -> dict[str, dict[str, Any]]:
    name, equals, value = text.partition("=")
    section, dot, option = name.strip().partition(".")
    if not equals or not dot:
        raise InputError(Code.SYNTAX, f"--set {text}: expected section.option=value, such as training.epochs=20")
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {option: parsed}}
