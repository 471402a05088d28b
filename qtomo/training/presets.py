"""Settings of training by name."""

from __future__ import annotations

from typing import Any

__all__ = ["PRESETS"]

#: Settings by name; what a preset leaves open has its default. `carrasquilla2018` is the recipe of
#: arXiv 1810.10584 for 50 qubits. Its dense layer after the latent constant is left out: a constant
#: through a layer is a constant.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "gru": {
        "model": {"family": "gru"},
        "training": {"learning_rate": 1.2e-2, "batch_size": 100, "averaging": 0.999},
    },
    "lstm": {
        "model": {"family": "lstm"},
        "training": {"learning_rate": 1e-2, "batch_size": 50, "averaging": 0.999},
    },
    "cnn": {"model": {"family": "cnn"}, "training": {"learning_rate": 5e-3, "weight_decay": 0.2, "averaging": 0.999}},
    "transformer": {"model": {"family": "transformer"}, "training": {"averaging": 0.999}},
    "mps": {"model": {"family": "mps"}, "training": {"learning_rate": 1e-2}},
    "lpdo": {"model": {"family": "lpdo"}, "training": {"learning_rate": 1e-2}},
    "rbm": {"model": {"family": "rbm"}, "training": {"learning_rate": 2e-2, "batch_size": 250, "epochs": 10}},
    "nice": {"model": {"family": "nice"}, "training": {"learning_rate": 3e-3, "epochs": 30, "averaging": 0.999}},
    "realnvp": {"model": {"family": "realnvp"}, "training": {"learning_rate": 3e-3, "epochs": 30, "averaging": 0.999}},
    "glow": {"model": {"family": "glow"}, "training": {"learning_rate": 3e-3, "epochs": 30, "averaging": 0.999}},
    "maf": {
        "model": {"family": "maf"},
        "training": {"learning_rate": 5e-3, "batch_size": 100, "epochs": 10, "averaging": 0.999},
    },
    "iaf": {"model": {"family": "iaf"}, "training": {"learning_rate": 3e-3, "epochs": 10, "averaging": 0.999}},
    "nsf": {"model": {"family": "nsf"}, "training": {"learning_rate": 3e-3, "epochs": 20, "averaging": 0.999}},
    "cnf": {"model": {"family": "cnf"}, "training": {"learning_rate": 3e-3, "epochs": 6, "averaging": 0.999}},
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


_AUTOENCODERS = ("vae", "beta_vae", "iwae", "hvae", "beta_tcvae", "factor_vae", "dhsic_vae", "mmd_vae", "wae")
PRESETS |= {
    name: {"model": {"family": name}, "training": {"learning_rate": 2e-3, "epochs": 60}} for name in _AUTOENCODERS
}
# Penalties that are estimated from a batch are noisy or biased in small ones; long training makes a wae's distribution
# worse.
for _name, _batch_size, _epochs in (("beta_tcvae", 500, 60), ("dhsic_vae", 500, 60), ("wae", 1000, 24)):
    PRESETS[_name]["training"] = {"learning_rate": 3e-3, "epochs": _epochs, "batch_size": _batch_size}
PRESETS |= {
    name: {
        "model": {"family": name},
        "training": {"learning_rate": 3e-3, "momentum": 0.0, "gradient_clip": 0.0, "epochs": 30},
    }
    for name in ("gan", "bigan")
}
PRESETS["vae_autoregressive"] = {
    "model": {"family": "vae", "decoder": "autoregressive"},
    "training": {"learning_rate": 5e-3, "epochs": 20},
}
