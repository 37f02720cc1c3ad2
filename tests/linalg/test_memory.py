"""Memory that is used again only when nobody looks at it any more."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt.linalg.memory import Pool, _counted


@pytest.mark.skipif(not _counted, reason="references are not counted here")
def test_an_array_comes_back_when_it_is_let_go():
    pool = Pool()
    first = pool.take((100, 3), float)
    place = first.ctypes.data
    view = first[:, 1:]
    del first
    other = pool.take((100, 3), float)
    assert other.ctypes.data != place  # a view is still there
    del view
    again = pool.take((100, 3), float)
    assert again.ctypes.data == place
    assert pool.take((100, 3), np.float32).dtype == np.float32
    assert len({id(a) for a in [other, again, pool.take((100, 3), float)]}) == 3


def test_the_pool_forgets():
    pool = Pool(2)
    kept = [pool.take((5,), float) for _ in range(10)]
    assert len(pool._arrays) == 2 and len({a.ctypes.data for a in kept}) == 10
