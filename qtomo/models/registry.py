"""Every model family by name: the only list there is."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from qtomo.config import near_miss
from qtomo.errors import Code, InputError

if TYPE_CHECKING:
    from qtomo.models.base import Model

__all__ = ["FAMILIES", "Families", "build_model", "parse_model"]


class Families(MutableMapping[str, "type[Model]"]):
    """Classes of models by name, each imported when it is first asked for.

    Args:
        homes: `MODULE:CLASS` by name, the module one of `qtomo.models`.
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._found: dict[str, str | type[Model]] = dict(homes)

    def __getitem__(self, name: str) -> type[Model]:
        found = self._found[name]
        if isinstance(found, str):
            module, _, name_of_class = found.partition(":")
            loaded: type[Model] = getattr(importlib.import_module(f"qtomo.models.{module}"), name_of_class)
            self._found[name] = found = loaded
        return found

    def __setitem__(self, name: str, family: type[Model]) -> None:
        self._found[name] = family

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


#: A new family is one line here.
FAMILIES = Families(
    {
        "gru": "rnn:GRU",
        "lstm": "rnn:LSTM",
        "cnn": "cnn:CNN",
        "transformer": "transformer:Transformer",
        "rbm": "rbm:RBM",
        "vae": "vae.vae:VAE",
        "beta_vae": "vae.families:BetaVAE",
        "iwae": "vae.families:IWAE",
        "hvae": "vae.families:HypersphericalVAE",
        "beta_tcvae": "vae.families:BetaTCVAE",
        "factor_vae": "vae.families:FactorVAE",
        "dhsic_vae": "vae.families:DHSICVAE",
        "mmd_vae": "vae.families:MMDVAE",
        "wae": "vae.families:WAE",
        "nice": "flows.coupling:NICE",
        "realnvp": "flows.coupling:RealNVP",
        "glow": "flows.coupling:Glow",
        "maf": "flows.autoregressive:MAF",
        "iaf": "flows.autoregressive:IAF",
        "nsf": "flows.autoregressive:NSF",
        "cnf": "flows.continuous:CNF",
        "gan": "gan.gan:GAN",
        "bigan": "gan.bigan:BiGAN",
        "mps": "tensor_network:MPSModel",
        "lpdo": "tensor_network:LPDOModel",
    }
)


def parse_model(settings: Mapping[str, Any], place: str = "[model]") -> dict[str, Any]:
    """The settings of a model, complete with defaults, from `family` and some of its own.

    Raises:
        InputError: an unknown family or option (names the near miss), or a bad value.
    """
    values = dict(settings)
    family = values.pop("family", None)
    if family not in FAMILIES:
        raise InputError(Code.UNKNOWN, f"{place}: unknown family '{family}'{near_miss(str(family), list(FAMILIES))}")
    return {"family": family, **FAMILIES[family].Config.parse(values, place).model_dump()}


def build_model(settings: Mapping[str, Any], n_sites: int, n_outcomes: int) -> Model:
    """A new model for N qubits of K outcomes, its weights drawn from torch's global generator.

    Raises:
        InputError: as `parse_model`.
    """
    values = parse_model(settings)
    family = FAMILIES[values.pop("family")]
    return family(n_sites, n_outcomes, family.Config(**values))
