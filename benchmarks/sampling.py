"""Records a second from one matrix-product state: qtomo, quimb and TeNPy, one thread, paired runs.

Run by `make bench`, which holds every library to one thread and installs quimb. The state is the critical chain
of N qubits. qtomo draws Pauli-4 records; the peers draw outcomes of Z, which is less work, by their own samplers.
Beside the rate stands the share of this machine's float32 matrix-multiply rate that qtomo's matrix products, and
nothing else, amount to.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import numpy as np
import torch

from qtomo import MPS, TFIM, BornDistribution, ground_state

RUNS = 5


def tenpy_sampler(state: MPS) -> Callable[[int], None]:
    """TeNPy's own sampler of the same state."""
    from tenpy.networks.mps import MPS as TenpyMPS
    from tenpy.networks.site import SpinHalfSite

    sites = [SpinHalfSite(conserve=None)] * state.n_sites
    peer = TenpyMPS.from_Bflat(sites, [tensor.transpose(1, 0, 2) for tensor in state.tensors], form="B")
    peer.canonical_form()
    rng = np.random.default_rng(0)

    def draw(n: int) -> None:
        for _ in range(n):
            peer.sample_measurements(rng=rng)

    return draw


def quimb_sampler(state: MPS) -> Callable[[int], None]:
    """quimb's own sampler of the same state."""
    import quimb.tensor as qtn

    first, *middle, last = state.tensors
    arrays = [first[0].T, *(tensor.transpose(0, 2, 1) for tensor in middle), last[:, :, 0]]
    peer = qtn.MatrixProductState(arrays, shape="lrp")

    def draw(n: int) -> None:
        for _ in peer.sample(n, seed=0):
            pass

    return draw


def matmul_rate() -> float:
    """Float32 operations a second of a large matrix product on one thread."""
    a = torch.rand(1024, 1024)
    a @ a
    started = time.perf_counter()
    for _ in range(10):
        a @ a
    return 10 * 2 * 1024**3 / (time.perf_counter() - started)


def operations(state: MPS) -> float:
    """Multiplications and additions of the matrix products for one record: a complex row through real tensors."""
    parts = 2 if state.is_real else 4
    return float(sum(2 * parts * 2 * left * right for left, _, right in (t.shape for t in state.tensors)))


@click.command()
@click.option("--qubits", default=50, show_default=True)
def main(qubits: int) -> None:
    """Print medians and ranges over paired runs."""
    torch.set_num_threads(1)
    state = ground_state(TFIM(qubits))
    born, rng = BornDistribution(state, "pauli4"), np.random.default_rng(0)
    samplers: dict[str, tuple[Callable[[int], object], int]] = {
        "qtomo": (lambda n: born.sample(n, rng), 16_384),
        "quimb": (quimb_sampler(state), 100),
        "TeNPy": (tenpy_sampler(state), 40),
    }
    rates: dict[str, list[float]] = {name: [] for name in samplers}
    shares = []
    for draw, n in samplers.values():
        draw(max(2, n // 20))
    for _ in range(RUNS):
        for name, (draw, n) in samplers.items():
            started = time.perf_counter()
            draw(n)
            rates[name].append(n / (time.perf_counter() - started))
        shares.append(rates["qtomo"][-1] * operations(state) / matmul_rate())
    print(f"{state!r}, one thread, {RUNS} paired runs: records a second")
    for name, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["qtomo"], found, strict=True)]
        print(
            f"{name:6} median {statistics.median(found):10,.0f}  range {min(found):10,.0f} to {max(found):10,.0f}"
            f"  qtomo is {statistics.median(ratios):8,.0f} times as fast ({min(ratios):,.0f} to {max(ratios):,.0f})"
        )
    print(f"share of the float32 matrix-multiply rate: {statistics.median(shares):.0%}")


if __name__ == "__main__":
    main()
