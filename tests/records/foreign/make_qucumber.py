"""Samples of a QuCumber wavefunction in three settings, written as its tutorials have them and read again by it."""

from pathlib import Path

import numpy as np
import torch
from qucumber.nn_states import ComplexWaveFunction
from qucumber.utils import unitaries
from qucumber.utils.data import load_data

HERE = Path(__file__).parent
SHOTS = 12

torch.manual_seed(3)
rng = np.random.default_rng(3)
state = ComplexWaveFunction(3, num_hidden=3, gpu=False)
space = state.generate_hilbert_space()
samples, bases = [], []
for basis in (list("ZZZ"), list("XZY"), list("YXX")):
    psi = unitaries.rotate_psi(state, basis, space)
    weights = (psi[0] ** 2 + psi[1] ** 2).detach().numpy()
    samples.append(space[rng.choice(8, SHOTS, p=weights / weights.sum())].numpy())
    bases += [basis] * SHOTS
np.savetxt(HERE / "samples.txt", np.concatenate(samples), fmt="%d")
np.savetxt(HERE / "bases.txt", np.array(bases), fmt="%s")
read = load_data(HERE / "samples.txt", tr_bases_path=HERE / "bases.txt")
assert np.array_equal(read[0].numpy(), np.concatenate(samples))
assert np.array_equal(read[1], np.array(bases))
