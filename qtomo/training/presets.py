"""Settings of training by name: a preset for each family, which the family brings, and recipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qtomo.models.registry import FAMILIES

__all__ = ["PRESETS"]

Preset = dict[str, dict[str, Any]]

#: Recipes beside the families' own. `carrasquilla2018` is that of arXiv 1810.10584 for 50 qubits. Its dense layer
#: after the latent constant is left out: a constant through a layer is a constant.
_RECIPES: dict[str, Preset] = {
    "vae_autoregressive": {
        "model": {"family": "vae", "decoder": "autoregressive"},
        "training": {"learning_rate": 5e-3, "epochs": 20},
    },
    "carrasquilla2018": {
        "model": {
            "family": "gru",
            "hidden_size": 100,
            "layers": 3,
            "learned_start": False,
            "site_size": 0,
            "latent_size": 100,
        },
        "training": {
            "learning_rate": 1e-3,
            "schedule": "constant",
            "warmup_steps": 0,
            "gradient_clip": 1.0,
            "batch_size": 500,
            "epochs": 50,
        },
    },
}


class _Presets(Mapping[str, Preset]):
    """A family's class is imported when its preset is first asked for."""

    def __getitem__(self, name: str) -> Preset:
        if name in _RECIPES:
            return _RECIPES[name]
        return {"model": {"family": name}, "training": dict(FAMILIES[name].preset)}

    def __iter__(self) -> Iterator[str]:
        yield from FAMILIES
        yield from _RECIPES

    def __len__(self) -> int:
        return len(FAMILIES) + len(_RECIPES)


#: Settings by name; what a preset leaves open has its default.
PRESETS: Mapping[str, Preset] = _Presets()
