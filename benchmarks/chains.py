"""Tensor networks of maximum likelihood: how near to the state, from how many records, and how true their intervals.

    python benchmarks/chains.py table       F_q against records, by POVM and number of qubits
    python benchmarks/chains.py plain       against a plain gradient fit of an MPS (PastaQ's published recipe)
    python benchmarks/chains.py optimisers  the natural gradient against Adam, the same network and records
    python benchmarks/chains.py coverage    how often 95 % intervals of fidelity hold the truth
    python benchmarks/chains.py mixed       locally purified states of depolarised GHZ and Ising chains
    python benchmarks/chains.py long        50 critical qubits

All print a line per fit as they go. Times are seconds of one core (CPU time of the process).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from qtomo.distribution import Outcomes
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm
from qtomo.models.registry import build_model
from qtomo.models.tensor_network import LPDOModel, MPSModel
from qtomo.progress import Progress
from qtomo.reconstruction.methods import LocallyPurified, MatrixProduct
from qtomo.reconstruction.mps_fit import fit_tensor_network
from qtomo.reconstruction.mps_intervals import network_estimates
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import FIDELITY, Quantity, QuantityKind
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.fidelity import fidelity
from qtomo.states.library import GHZ
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM
from qtomo.training.natural import fit_natural

PURITY = Quantity(QuantityKind.PURITY, "purity", 0.0, 1.0)


def records_of(state: MPS | LPDO, povm: str, n: int, seed: int) -> Outcomes:
    """Exact records."""
    return BornDistribution(state, povm).sample(n, stream(seed, "benchmark chains"))


def table(qubits: list[int], largest: int, povms: list[str]) -> None:
    """F_q of the fit with the critical ground state."""
    print("qubits  POVM     records   bond  amplitudes  F_q      CPU s")
    for n_sites in qubits:
        state = TFIM(n_sites).state()
        for povm in povms:
            for n in (n for n in (2_000, 5_000, 20_000, 50_000, 200_000) if n <= largest):
                started = time.process_time()
                model = fit_tensor_network(Records(records_of(state, povm, n, 0), povm), MatrixProduct()).model
                line(n_sites, povm, n, model, fidelity(model.to_state(), state).low, started)


def line(n_sites: int, povm: str, n: int, model: MPSModel, value: float, started: float) -> None:
    """Print a row of the table."""
    config = model.config
    kind = "complex" if config.complex_amplitudes else "real"
    seconds = time.process_time() - started
    print(f"{n_sites:6}  {povm:7}  {n:8,}  {config.bond_dim:4}  {kind:10}  {value:.4f}  {seconds:7.0f}", flush=True)


def long(n: int, povm: str, seed: int, real_bond: int | None) -> None:
    """50 critical qubits, with the steps of the fit; of real tensors of a bond dimension where that is given."""
    state = TFIM(50).state()
    outcomes = records_of(state, povm, n, seed)
    started, wall = time.process_time(), time.monotonic()

    class Printed(Progress):
        def stage(self, text: str) -> None:
            print(f"{time.process_time() - started:6.0f} CPU s  {time.monotonic() - wall:6.0f} s  {text}", flush=True)

        def update(self, done: int, total: int, note: str = "") -> None:
            self.stage(f"{done} of {total} {note}")

    complex_ = None if real_bond is None else False
    records, method = Records(outcomes, povm), MatrixProduct(real_bond)
    model = fit_tensor_network(records, method, complex_amplitudes=complex_, seed=seed, progress=Printed()).model
    line(50, povm, n, model, fidelity(model.to_state(), state).low, started)
    print(f"wall clock {time.monotonic() - wall:.0f} s")


def plain_fit(outcomes: Outcomes, povm: str, bond_dim: int, epochs: int, seed: int, learning_rate: float) -> MPSModel:
    """Stochastic gradient descent on the negative log-likelihood from random tensors, batches of 500.

    PastaQ's recipe for an MPS from random-basis shots (Torlai and Fishman, github.com/GTorlai/PastaQ.jl, its
    tomography example): plain gradient, no gauge, no growth.
    """
    torch.manual_seed(seed)
    n_sites = outcomes.shape[1]
    model = build_model({"family": "mps", "bond_dim": bond_dim}, n_sites, named_povm(povm).n_outcomes)
    model.measured_by(named_povm(povm))
    with torch.no_grad():
        for tensor in model.tensors:
            tensor.copy_(torch.randn_like(tensor) / (2 * tensor.shape[-1]) ** 0.5)
        model.started.fill_(True)
    optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate)
    rows = torch.from_numpy(outcomes.astype(np.int64))
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(500):
            optimiser.zero_grad()
            model.loss(rows[batch]).backward()
            optimiser.step()
    return model


def plain(n_sets: int) -> None:
    """10,000 random-basis shots of 10 critical qubits, bond dimension 4, batches of 500, 10 epochs.

    The plain fit has, for each set, the best of three learning rates as the true state judges them.
    """
    state, povm = TFIM(10).state(), "pauli6"
    print("seed   plain, best of three rates   qtomo")
    for seed in range(n_sets):
        outcomes = records_of(state, povm, 10_000, seed)
        theirs = {
            rate: fidelity(plain_fit(outcomes, povm, 4, 10, seed, rate).to_state(), state).low
            for rate in (0.03, 0.1, 0.3)
        }
        fit = fit_tensor_network(Records(outcomes, povm), MatrixProduct(), seed=seed)
        ours = fidelity(fit.model.to_state(), state).low
        best = max(theirs, key=lambda rate: theirs[rate])
        print(f"{seed:4}   {theirs[best]:.4f} (rate {best})            {ours:.4f}", flush=True)


def optimisers(n_sites: int, n: int) -> None:
    """The same network from the same start on the same records: mean ln P of the records against CPU seconds."""
    state, povm, bond = TFIM(n_sites).state(), "pauli4", 4
    outcomes = records_of(state, povm, n, 0)
    rows = torch.from_numpy(outcomes.astype(np.int64))

    def started() -> MPSModel:
        torch.manual_seed(0)
        settings = {"family": "mps", "bond_dim": bond, "complex_amplitudes": False}
        model = build_model(settings, n_sites, 4)
        model.measured_by(named_povm(povm))
        model.start_from(rows)
        return model

    print("optimiser          CPU s   ln P per record   F_q")
    model, clock = started(), time.process_time()

    def tell(name: str, value: float) -> None:
        seconds, found = time.process_time() - clock, fidelity(model.to_state(), state).low
        print(f"{name:18} {seconds:6.1f}  {value:.5f}      {found:.4f}", flush=True)

    class Told(Progress):
        def update(self, done: int, total: int, note: str = "") -> None:
            tell("natural gradient", float(model.log_prob(outcomes).mean()))

    fit_natural(model, outcomes, steps=40, progress=Told())
    for rate in (3e-3, 1e-2, 3e-2):
        model, clock = started(), time.process_time()
        optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        total, done = 30 * (len(rows) // 200), 0
        for epoch in range(30):
            for batch in torch.randperm(len(rows)).split(200):
                for group in optimiser.param_groups:
                    group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * min(done / total, 1)))
                optimiser.zero_grad()
                model.loss(rows[batch]).backward()
                optimiser.step()
                done += 1
            if epoch % 5 == 4:
                tell(f"Adam {rate}", float(model.log_prob(outcomes).mean()))


def coverage(n_sets: int, n: int, povms: list[str]) -> None:
    """95 % intervals of the fidelity with the true state and with another, ground states at fields 1 and 0.8."""
    truth = TFIM(10).state()
    states = {"the truth": truth, "the ground state at field 0.8": TFIM(10, 1.0, 0.8).state()}
    targets = {replace(FIDELITY, name=f"fidelity with {name}"): state for name, state in states.items()}
    for povm in povms:
        held = dict.fromkeys(targets, 0)
        for seed in range(n_sets):
            records = Records(records_of(truth, povm, n, seed), povm)
            fit = fit_tensor_network(records, MatrixProduct(), seed=seed)
            estimates = network_estimates(
                fit,
                records,
                lambda state: {quantity: fidelity(state, target).low for quantity, target in targets.items()},
                Options(seed=seed),
            )
            text = ""
            for quantity, target in targets.items():
                found, true = estimates[quantity], fidelity(truth, target).low
                held[quantity] += found.low <= true + 1e-12 and true <= found.high + 1e-12
                text += f"  {quantity.name}: {found.interval()} ({true:.4f}), {held[quantity]} of {seed + 1}"
            print(f"{povm} {seed} bond {fit.model.config.bond_dim}{text}", flush=True)


def mixed(qubits: list[int], n: int) -> None:
    """2 % depolarising on each qubit before a Pauli-6 measurement: fitted as a mixed state of an ideal measurement."""
    for n_sites in qubits:
        for name, pure in (("ghz", GHZ(n_sites).state()), ("tfim", TFIM(n_sites).state())):
            truth = depolarised(pure, 0.02)
            noisy = parse_noise(named_povm("pauli6"), ["depolarizing:0.02"], n_sites)
            records = Records(BornDistribution(pure, noisy).sample(n, stream(0, "benchmark chains")), "pauli6")
            started = time.process_time()
            fit = fit_tensor_network(records, LocallyPurified())
            model = fit.model
            assert isinstance(model, LPDOModel)
            state = model.to_state()
            options = Options(resamples=100)
            found = network_estimates(fit, records, lambda state: {PURITY: purity(state)}, options)[PURITY]
            bounds = fidelity(state, truth)
            print(
                f"{name} {n_sites} qubits, {n:,} records: bond {model.config.bond_dim}, "
                f"{'complex' if model.config.complex_amplitudes else 'real'}, F with the true mixed state "
                f"{bounds.low:.4f} to {bounds.high:.4f}, with the pure one {fidelity(state, pure).low:.4f} "
                f"(truth {fidelity(truth, pure).low:.4f}), purity {found.interval()} (truth {truth.purity():.4f}), "
                f"{time.process_time() - started:.0f} CPU s",
                flush=True,
            )


def purity(state: MPS | LPDO) -> float:
    """Tr rho**2."""
    return state.purity() if isinstance(state, LPDO) else 1.0


def depolarised(state: MPS, strength: float) -> LPDO:
    """Each qubit depolarised: rho to (1 - p) rho + p/2, with Kraus operators sqrt(1 - 3p/4), sqrt(p)/2 times Paulis."""
    from qtomo.measurement.povm import PAULIS

    weights = [1 - 0.75 * strength, *[strength / 4] * 3]
    kraus = np.stack([np.sqrt(w) * PAULIS[p] for w, p in zip(weights, "IXYZ", strict=True)])
    return LPDO.from_tensors([np.einsum("kst,atb->askb", kraus, tensor) for tensor in state.tensors])


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "table": lambda given: table(given.qubits, given.shots, given.povms),
        "plain": lambda given: plain(given.sets),
        "optimisers": lambda given: optimisers(given.qubits[0], given.shots),
        "coverage": lambda given: coverage(given.sets, given.shots, given.povms),
        "mixed": lambda given: mixed(given.qubits, given.shots),
        "long": lambda given: long(given.shots, given.povms[0], given.seed, given.real_bond),
    }
    parser.add_argument("part", choices=parts)
    parser.add_argument("--qubits", type=int, nargs="+", default=[10])
    parser.add_argument("--shots", type=int, default=10_000)
    parser.add_argument("--povms", nargs="+", default=["pauli4", "pauli6", "sic"])
    parser.add_argument("--sets", type=int, default=10)
    parser.add_argument("--real-bond", type=int, help="of `long`: real tensors of this bond dimension")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    parts[given.part](given)


if __name__ == "__main__":
    main()
