"""Figures are drawn with and without a target."""

import numpy as np

from qtomo import RecordFile, evaluate, train, write_records
from qtomo.evaluation.latents import correlations
from qtomo.reporting.figures import latent_figure, new_figure, save_figure, summary_figure
from tests.conftest import SMALL


def ink(path) -> float:
    """Share of a picture that is not white."""
    from matplotlib.image import imread

    return float((imread(path)[..., :3].min(axis=2) < 0.9).mean())


def test_with_and_without_a_target(small_run, small_records, tmp_path):
    save_figure(summary_figure(small_run, evaluate(small_run, samples=500)), tmp_path / "target.png")
    with RecordFile(small_records) as file:
        path = write_records(tmp_path / "lab.h5", [file.load()], 5, file.povm)
    run = train(path, tmp_path / "run", SMALL)
    save_figure(summary_figure(run, evaluate(run, samples=500)), tmp_path / "lab.png")
    pictures = [tmp_path / "target.png", tmp_path / "lab.png"]
    assert all(0.01 < ink(picture) < 0.3 for picture in pictures)
    assert not np.array_equal(*(picture.read_bytes() for picture in pictures))


def test_a_notebook_shows_a_figure():
    assert new_figure(1, 1)._repr_png_().startswith(b"\x89PNG")


def test_correlations_of_latents_are_drawn(tmp_path):
    values = np.random.default_rng(0).standard_normal((500, 3))
    values[:, 2] = 0  # a latent that stays at its prior
    table = correlations(values, values[:, :2])
    save_figure(
        latent_figure({name: [row[i] for row in table] for i, name in enumerate(("X", "ZZ"))}), tmp_path / "latents.png"
    )
    assert 0.05 < ink(tmp_path / "latents.png") < 0.9
