"""Records drawn and scored a second from one matrix-product state: qtomo, quimb and TeNPy, one thread, paired runs.

Run by `make bench`, which holds every library to one thread and installs quimb. qtomo draws Pauli-4 records; the peers
draw outcomes of Z, which is less work, by their own samplers. Beside a rate stands the share of this machine's
matrix-multiply rate (float32 for drawing, float64 for scoring) that the multiplications and additions make which
the algorithm needs: a complex row through both bits' matrices a site and record, or the products of `Scorer`.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from qtomo import MPS, TFIM, BornDistribution, ground_state

RUNS = 5
POVM = "pauli4"


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


def matmul_rate(dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product on one thread."""
    a = torch.rand(1024, 1024, dtype=dtype)
    a @ a
    started = time.perf_counter()
    for _ in range(5):
        a @ a
    return 5 * 2 * 1024**3 / (time.perf_counter() - started)


def drawing_operations(state: MPS) -> float:
    """Those to draw one record: a complex row through the two matrices of a site, real or complex."""
    parts = 2 if state.is_real else 4
    return float(sum(2 * parts * 2 * left * right for left, _, right in (t.shape for t in state.tensors)))


def scoring_operations(born: BornDistribution, records: NDArray[np.uint8]) -> float:
    """Those to score one record, by how often each outcome comes: of a real state, in real arithmetic.

    An outcome of one real ket takes L -> B^T L B; another takes two such terms, and two more products where it is
    not real.
    """
    total = 0.0
    tensors = born.state.truncate(weight=born.cut_weight)[0].tensors if born.tolerance else born.state.tensors
    for site, (left, _, right) in enumerate(t.shape for t in tensors):
        for outcome, element in enumerate(born.povm.site_elements(len(tensors))[site]):
            share = float(np.mean(records[:, site] == outcome))
            real = abs(element[0, 1].imag) < 1e-15
            terms = 1 if real and np.linalg.matrix_rank(element, tol=1e-12) == 1 else 2
            products = terms * (left * left * right + left * right * right) + (0 if real else 2 * left * right * right)
            total += share * 2 * products
    return total


def reference(state: MPS, records: NDArray[np.uint8], elements: NDArray[np.complex128]) -> NDArray[np.float64]:
    """ln P by full environments in complex128, one record at a time."""
    found = np.empty(len(records))
    for row, record in enumerate(records):
        environment, log_prob = np.ones((1, 1), dtype=np.complex128), 0.0
        for tensor, element, outcome in zip(state.tensors, elements, record, strict=True):
            environment = np.einsum(
                "bk,btc,ts,ksd->cd", environment, tensor.conj(), element[outcome], tensor, optimize=True
            )
            scale = np.abs(environment).max()
            environment, log_prob = environment / scale, log_prob + math.log(scale)
        found[row] = log_prob + math.log(environment[0, 0].real)
    return found


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def real_random(n_sites: int, bond_dim: int) -> MPS:
    """A real matrix-product state with the bond dimension asked for at every cut that can have it."""
    rng = np.random.default_rng(n_sites + bond_dim)
    bonds = [min(bond_dim, 2 ** min(cut, n_sites - cut, 20)) for cut in range(n_sites + 1)]
    return MPS([rng.normal(size=(bonds[i], 2, bonds[i + 1])) for i in range(n_sites)])


def peers(state: MPS) -> dict[str, list[float]]:
    """Records a second of the three samplers, paired runs."""
    born, rng = BornDistribution(state, POVM), np.random.default_rng(0)
    samplers: dict[str, tuple[Callable[[int], object], int]] = {
        "qtomo": (lambda n: born.sample(n, rng), 32_768),
        "quimb": (quimb_sampler(state), 60),
        "TeNPy": (tenpy_sampler(state), 40),
    }
    for draw, n in samplers.values():
        draw(max(2, n // 20))
    rates: dict[str, list[float]] = {name: [] for name in [*samplers, "share"]}
    for _ in range(RUNS):
        for name, (draw, n) in samplers.items():
            rates[name].append(n / timed(lambda draw=draw, n=n: draw(n)))
        rates["share"].append(rates["qtomo"][-1] * drawing_operations(state) / matmul_rate(torch.float32))
    return rates


def ours(state: MPS, n: int, tolerance: float = 0.0) -> tuple[list[float], list[float]]:
    """Records drawn and scored a second, `RUNS` times each."""
    born, rng = BornDistribution(state, POVM, tolerance=tolerance), np.random.default_rng(0)
    records = born.sample(n, rng)
    born.log_prob(records[:64])
    drawn, scored = [], []
    for _ in range(RUNS):
        drawn.append(n / timed(lambda: born.sample(n, rng)))
        scored.append(n / timed(lambda: born.log_prob(records)))
    return drawn, scored


def speed_against_error(state: MPS) -> list[tuple[float, int, float, list[float], float]]:
    """(tolerance, bond dimension, largest error, records a second, share of the matrix-multiply rate)."""
    records = BornDistribution(state, POVM).sample(8192, np.random.default_rng(1))
    few = records[:400]
    elements = BornDistribution(state, POVM).povm.site_elements(state.n_sites)
    expected = reference(state, few, elements)
    rows = []
    for tolerance in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 0.0):
        born = BornDistribution(state, POVM, tolerance=tolerance)
        error = float(np.abs(born.log_prob(few) - expected).max())
        rates, shares = [], []
        for _ in range(RUNS):
            rates.append(len(records) / timed(lambda born=born: born.log_prob(records)))
            shares.append(rates[-1] * scoring_operations(born, records) / matmul_rate(torch.float64))
        rows.append((tolerance, born.scored_bond_dim, error, rates, statistics.median(shares)))
    return rows


def figure(
    path: Path,
    sizes: dict[int, tuple[list[float], list[float]]],
    bonds: dict[int, tuple[list[float], list[float]]],
    curve: list[tuple[float, int, float, list[float], float]],
    at_fifty: dict[str, list[float]],
) -> None:
    """Three panels: rate against N, against bond dimension, and scoring rate against error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(drawing)
    panels = drawing.subplots(1, 3)
    styles = (("drawn", "#0072B2", "o"), ("scored, exact", "#D55E00", "s"))
    for panel, found, label in (
        (panels[0], sizes, "number of qubits N"),
        (panels[1], bonds, "bond dimension, N = 50"),
    ):
        x = np.array(list(found))
        for which, (name, colour, marker) in enumerate(styles):
            runs = np.array([found[key][which] for key in found])
            middle = np.median(runs, axis=1)
            bars = np.abs(np.stack([runs.min(axis=1), runs.max(axis=1)]) - middle)
            panel.errorbar(x, middle, yerr=bars, color=colour, marker=marker, capsize=2, label=f"qtomo, {name}")
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(x, labels=[str(value) for value in x])
        panel.minorticks_off()
        panel.set_xlabel(label)
        panel.set_ylabel("records a second, one thread")
    for name, marker in (("quimb", "^"), ("TeNPy", "v")):
        panels[1].plot(30, statistics.median(at_fifty[name]), "k", marker=marker, linestyle="", label=f"{name}, drawn")
    for panel in panels[:2]:
        panel.legend(frameon=False)
    errors = [max(row[2], 1e-14) for row in curve]
    middle = [statistics.median(row[3]) for row in curve]
    bars = np.abs(np.array([[min(row[3]), max(row[3])] for row in curve]).T - np.array(middle))
    panels[2].errorbar(errors, middle, yerr=bars, color=styles[1][1], marker="s", capsize=2)
    for row, error, rate in zip(curve[:4], errors, middle, strict=False):  # from there on the bond stays whole
        panels[2].annotate(f"bond {row[1]}", (error, rate), textcoords="offset points", xytext=(-8, 8), fontsize=8)
    panels[2].set_xscale("log")
    panels[2].set_yscale("log")
    panels[2].set_xlabel("largest error of ln P over 400 records (nats)")
    panels[2].set_ylabel("records scored a second, one thread")
    panels[2].set_title("critical chain, N = 50", fontsize=10)
    drawing.savefig(path, dpi=130)


@click.command()
@click.option("--qubits", default=50, show_default=True)
@click.option("--figure", "path", type=click.Path(path_type=Path), default=None, help="PNG to write.")
def main(qubits: int, path: Path | None) -> None:
    """Print medians and ranges over paired runs, as Markdown."""
    torch.set_num_threads(1)
    state = ground_state(TFIM(qubits))
    print(f"## Drawing: {state!r}, critical Ising chain, one thread, {RUNS} paired runs\n")
    rates = peers(state)
    print("| sampler | records a second: median (range) | qtomo is faster by: median (range) |\n|---|---|---|")
    for name in ("qtomo", "quimb", "TeNPy"):
        ratios = [mine / theirs for mine, theirs in zip(rates["qtomo"], rates[name], strict=True)]
        print(f"| {name} | {spread(rates[name])} | {spread(ratios)} |")
    print(f"\nqtomo's share of the float32 matrix-multiply rate: {statistics.median(rates['share']):.0%}\n")

    print("## Scoring the same state: speed against error\n")
    print("| tolerance | bond dimension | largest error, nats | records a second: median (range) | share of rate |")
    print("|---|---|---|---|---|")
    curve = speed_against_error(state)
    for tolerance, bond, error, found, share in curve:
        print(f"| {tolerance:g} | {bond} | {error:.1e} | {spread(found)} | {share:.0%} |")

    print("\n## Scaling: real random states, exact scores\n")
    print("| N | bond dimension | drawn a second | scored a second |\n|---|---|---|---|")
    sizes = {n: ours(real_random(n, 16), 4096) for n in (20, 50, 100, 200, 400)}
    bonds = {d: ours(real_random(50, d), 2048) for d in (4, 8, 16, 32, 64)}
    for n, (drawn, scored) in sizes.items():
        print(f"| {n} | 16 | {spread(drawn)} | {spread(scored)} |")
    for bond, (drawn, scored) in bonds.items():
        print(f"| 50 | {bond} | {spread(drawn)} | {spread(scored)} |")
    for which, what in enumerate(("drawing", "scoring")):
        costs = [1 / statistics.median(found[which]) for found in sizes.values()]
        exponent = np.polyfit(np.log(list(sizes)), np.log(costs), 1)[0]
        print(f"\n{what}: seconds a record grow as N^{exponent:.2f} from 20 to 400 qubits")
    if path is not None:
        figure(path, sizes, bonds, curve, rates)


if __name__ == "__main__":
    main()
