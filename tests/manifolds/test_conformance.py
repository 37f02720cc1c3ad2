"""Every manifold passes every conformance check."""

import pytest
from manifolds.all_manifolds import MANIFOLDS

from manifold_opt.manifolds import (
    Grassmann,
    Hyperbolic,
    Rotations,
    Sphere,
    Stiefel,
    SymmetricPositiveDefinite,
    UnitQuaternions,
)
from manifold_opt.testing import MANIFOLD_CHECKS
from manifold_opt.testing.manifold_checks import check_drift


@pytest.mark.parametrize("check", MANIFOLD_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_conformance(M, check):
    check(M)


LONG_WALKS = [
    Sphere(2),
    Rotations(3),
    SymmetricPositiveDefinite(3),
    Hyperbolic(2),
    Stiefel(4, 2),
    Grassmann(4, 2),
    UnitQuaternions(),
]


@pytest.mark.parametrize("M", LONG_WALKS, ids=repr)
def test_ten_thousand_steps_do_not_drift(M):
    """The conformance checks take 500 steps of every manifold; one of each kind takes the whole way."""
    check_drift(M, steps=10_000)
