"""Sizes of coordinates: the same for many copies at once as for one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import Euclidean, PowerManifold, ProductManifold, Rotations, SpecialEuclidean, Sphere
from manifold_opt.solvers.coordinates import coordinate_sizes


@pytest.mark.parametrize(
    "M",
    [
        Euclidean(2, 3),
        Sphere(2),
        Rotations(3),
        SpecialEuclidean(3),
        ProductManifold(a=Euclidean(2), R=Rotations(3)),
        PowerManifold(Sphere(3), 2),
        Euclidean(2, field="complex"),
    ],
    ids=repr,
)
def test_copies_at_once_have_the_sizes_of_each(M):
    N = PowerManifold(M, 5)
    p = N.random_point(0)
    each = np.concatenate([coordinate_sizes(M, x) for x in p.reshape(5, *M.point_shape)])
    np.testing.assert_allclose(coordinate_sizes(N, p), each, rtol=1e-13)
