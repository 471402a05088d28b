"""Every model family by name: the only list there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtomo.config import near_miss
from qtomo.errors import InputError
from qtomo.models.base import Model
from qtomo.models.cnn import CNN
from qtomo.models.flows import CNF, IAF, MAF, NICE, NSF, Glow, RealNVP
from qtomo.models.gan.bigan import BiGAN
from qtomo.models.gan.gan import GAN
from qtomo.models.rbm import RBM
from qtomo.models.rnn import GRU, LSTM
from qtomo.models.tensor_network import LPDOModel, MPSModel
from qtomo.models.transformer import Transformer
from qtomo.models.vae.families import DHSICVAE, IWAE, MMDVAE, WAE, BetaTCVAE, BetaVAE, FactorVAE, HypersphericalVAE
from qtomo.models.vae.vae import VAE

__all__ = ["FAMILIES", "build_model", "parse_model"]

#: A new family is one line here.
FAMILIES: dict[str, type[Model]] = {
    "gru": GRU,
    "lstm": LSTM,
    "cnn": CNN,
    "transformer": Transformer,
    "rbm": RBM,
    "vae": VAE,
    "beta_vae": BetaVAE,
    "iwae": IWAE,
    "hvae": HypersphericalVAE,
    "beta_tcvae": BetaTCVAE,
    "factor_vae": FactorVAE,
    "dhsic_vae": DHSICVAE,
    "mmd_vae": MMDVAE,
    "wae": WAE,
    "nice": NICE,
    "realnvp": RealNVP,
    "glow": Glow,
    "maf": MAF,
    "iaf": IAF,
    "nsf": NSF,
    "cnf": CNF,
    "gan": GAN,
    "bigan": BiGAN,
    "mps": MPSModel,
    "lpdo": LPDOModel,
}


def parse_model(settings: Mapping[str, Any], place: str = "[model]") -> dict[str, Any]:
    """The settings of a model, complete with defaults, from `family` and some of its own.

    Raises:
        InputError: an unknown family or option (names the near miss), or a bad value.
    """
    values = dict(settings)
    family = values.pop("family", None)
    if family not in FAMILIES:
        raise InputError(f"{place}: unknown family '{family}'{near_miss(str(family), list(FAMILIES))}")
    return {"family": family, **FAMILIES[family].Config.parse(values, place).model_dump()}


def build_model(settings: Mapping[str, Any], n_sites: int, n_outcomes: int) -> Model:
    """A new model for N qubits of K outcomes, its weights drawn from torch's global generator.

    Raises:
        InputError: as `parse_model`.
    """
    values = parse_model(settings)
    family = FAMILIES[values.pop("family")]
    return family(n_sites, n_outcomes, family.Config(**values))
