"""Streams of random numbers: the same again for the same three words, and independent of each other."""

import itertools
import zlib

import numpy as np
import pytest
import torch
from scipy import stats

from qtomo.seeds import stream, torch_generator


def test_a_stream_is_that_of_numpy_under_seed_purpose_and_index():
    """What files of today were drawn with is drawn again by any later version."""
    own = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence([7, zlib.crc32(b"records"), 3])))
    assert (stream(7, "records", 3).integers(2**63, size=5) == own.integers(2**63, size=5)).all()
    assert stream(7, "records", 0).random() == stream(7, "records").random()


def test_streams_of_other_seeds_purposes_or_blocks_share_nothing():
    words = list(itertools.product((0, 1, 2**40), ("a", "b"), (0, 1)))
    drawn = np.array([stream(*word).random(2000) for word in words])
    assert len(np.unique(drawn)) == drawn.size
    correlations = np.corrcoef(drawn)[np.triu_indices(len(words), 1)]
    # 66 pairs; each is normal of variance 1/2000, and beyond this with a probability of 1e-7 for all together
    assert np.abs(correlations).max() < stats.norm.isf(1e-7 / 66 / 2) / 2000**0.5


def test_a_torch_generator_goes_on_with_the_numpy_one():
    first, second = (torch_generator(stream(1, "x")) for _ in range(2))
    assert torch.equal(torch.rand(4, generator=first), torch.rand(4, generator=second))
    numpy = stream(1, "x")
    one, other = torch_generator(numpy), torch_generator(numpy)
    assert one.initial_seed() != other.initial_seed()
    assert one.initial_seed() == int(stream(1, "x").integers(2**63))


def test_a_negative_seed_is_no_seed():
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "x")
