"""Work shared among threads comes back in its order."""

import threading

import pytest
import torch

from qtomo.parallel import over_threads


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_in_the_order_of_their_items(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert list(over_threads(lambda x: x * x, range(20))) == [x * x for x in range(20)]


def test_threads_other_than_this_one_work(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    names = set(over_threads(lambda _: threading.current_thread().name, range(8)))
    assert threading.current_thread().name not in names


def test_what_a_thread_raises_is_raised_here(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        list(over_threads(lambda x: 1 / x, [1, 0, 2]))
