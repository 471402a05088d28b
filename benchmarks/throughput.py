"""Records a second of the recurrent network, in training and in sampling, against what the machine can multiply.

A training step of the default is timed beside a plain PyTorch loop of the same network, and beside the bare matrix
products that the step cannot do without: per site a product of the state with the recurrent weights forwards and one of
the gradient backwards, and for all sites together those of inputs, weights' gradients and head. Paired runs: the three
take turns. Sampling is by the cached state, site after site. Where QuCumber is installed (`pip install --no-deps
qucumber`), a step of it stands beside: it learns bits in the Z basis by a restricted Boltzmann machine and contrastive
divergence, which is other and less work, and it draws them by a Markov chain. Run by hand:

    OMP_NUM_THREADS=1 python benchmarks/throughput.py
    OMP_NUM_THREADS=1 python benchmarks/throughput.py --hidden 128 --batch 200
    OMP_NUM_THREADS=2 python benchmarks/throughput.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from qtomo.models.registry import build_model
from qtomo.training.config import read_settings

Task = Callable[[], object]


def product_step(batch: int, sites: int, inputs: int, hidden: int, outcomes: int) -> Task:
    """The matrix products of one training step of a GRU, of the same shapes, and nothing else."""
    state, gates = torch.randn(batch, hidden), torch.randn(batch, 3 * hidden)
    forwards, backwards = torch.randn(hidden, 3 * hidden), torch.randn(3 * hidden, hidden)
    read, states = torch.randn(batch * sites, inputs), torch.randn(batch * sites, hidden)
    all_gates, logits = torch.randn(batch * sites, 3 * hidden), torch.randn(batch * sites, outcomes)
    into, out = torch.randn(inputs, 3 * hidden), torch.randn(hidden, outcomes)

    def products() -> None:
        for _ in range(sites):
            state @ forwards
            gates @ backwards
        _ = (states.T @ all_gates, read @ into, read.T @ all_gates)
        _ = (states @ out, logits @ out.T, states.T @ logits)

    return products


class PlainGRU(nn.Module):
    """What one writes in a notebook: one-hot outcomes, `nn.GRU`, a linear head, cross-entropy."""

    def __init__(self, outcomes: int, hidden: int) -> None:
        super().__init__()
        self.outcomes = outcomes
        self.rnn = nn.GRU(outcomes, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outcomes)

    def loss(self, records: Tensor) -> Tensor:
        """Mean negative log-likelihood of records (batch, sites)."""
        before = functional.pad(functional.one_hot(records, self.outcomes).float()[:, :-1], (0, 0, 1, 0))
        hidden, _ = self.rnn(before)
        return functional.cross_entropy(self.head(hidden).flatten(0, 1), records.flatten()) * records.shape[1]


def training_step(model: nn.Module, records: Tensor, learning_rate: float) -> Task:
    """Loss, gradient, clipping and Adam on the same batch."""
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(records).backward()  # type: ignore[operator]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def qucumber_tasks(sites: int, hidden: int, batch: int, sweeps: int) -> tuple[Task, Task] | None:
    """An epoch of one batch of QuCumber's positive wave function, and drawing a batch from it; None without it."""
    try:
        from qucumber.nn_states import PositiveWaveFunction
    except ImportError:
        return None
    state = PositiveWaveFunction(sites, hidden, gpu=False)
    bits = torch.randint(0, 2, (batch, sites)).double()
    step = partial(state.fit, bits, epochs=1, pos_batch_size=batch, k=1, optimizer=torch.optim.Adam)
    return step, partial(state.sample, sweeps, batch)


def paired(tasks: dict[str, Task], runs: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each task, all of them in turn in each run."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(runs):
        for name, task in tasks.items():
            started = time.perf_counter()
            for _ in range(repeats):
                task()
            seconds[name].append((time.perf_counter() - started) / repeats)
    return seconds


def spread(values: list[float], digits: int = 2) -> str:
    """Median and range."""
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=50, help="number of qubits")
    parser.add_argument("--sampled", type=int, default=100_000, help="records to draw")
    parser.add_argument("--hidden", type=int, help="units of the network, in place of the default's")
    parser.add_argument("--batch", type=int, help="records a step, in place of the default's")
    parser.add_argument("--sweeps", type=int, default=100, help="Gibbs sweeps of QuCumber a drawn record")
    parser.add_argument("--runs", type=int, default=7, help="paired runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    chosen = {"model.hidden_size": given.hidden, "training.batch_size": given.batch}
    outcomes, settings = 4, read_settings("gru", None, [f"{name}={value}" for name, value in chosen.items() if value])
    torch.manual_seed(0)
    model = build_model(settings["model"], given.qubits, outcomes)
    batch, hidden = settings["training"]["batch_size"], settings["model"]["hidden_size"]
    records = torch.randint(0, outcomes, (batch, given.qubits))
    rate = settings["training"]["learning_rate"]
    tasks = {
        "matrix products alone": product_step(
            batch, given.qubits, outcomes + settings["model"]["site_size"], hidden, outcomes
        ),
        "qtomo gru": training_step(model, records, rate),
        "plain PyTorch loop": training_step(PlainGRU(outcomes, hidden), records, rate),
    }
    peer = qucumber_tasks(given.qubits, given.qubits, batch, given.sweeps)
    if peer:
        tasks["QuCumber, Z basis, k = 1"] = peer[0]
    seconds = paired(tasks, given.runs, repeats=5)
    started = time.perf_counter()
    model.sample(given.sampled, np.random.default_rng(0))
    sampling = time.perf_counter() - started
    peer_drawing = statistics.median(paired({"draw": peer[1]}, given.runs, 1)["draw"]) if peer else None
    if given.json:
        print(json.dumps({"threads": torch.get_num_threads(), "seconds_a_step": seconds, "sampling_seconds": sampling}))
        return
    print(f"GRU of {hidden} units, {given.qubits} qubits, batches of {batch}, {torch.get_num_threads()} threads\n")
    print("| training step | records a second: median (range) | share of the products' rate: median (range) |")
    print("|---|---|---|")
    for name, found in seconds.items():
        shares = [products / own for products, own in zip(seconds["matrix products alone"], found, strict=True)]
        print(f"| {name} | {spread([batch / s for s in found], 0)} | {spread(shares)} |")
    print(
        f"\n{given.sampled:,} records drawn from the GRU in {sampling:.1f} s: {given.sampled / sampling:,.0f} a second"
    )
    if peer_drawing:
        print(f"QuCumber draws {batch / peer_drawing:,.0f} records a second with {given.sweeps} sweeps each")


if __name__ == "__main__":
    main()
