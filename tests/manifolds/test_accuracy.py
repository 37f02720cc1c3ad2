"""Against 50-digit values for the stored points, from length 1e-12 to the cut locus, at random points."""

import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import Rotations, Sphere, SymmetricPositiveDefinite
from manifold_opt.testing import check_accuracy, check_exp_accuracy

LOGS = [
    (Sphere(1), exact.sphere_log),
    (Sphere(2), exact.sphere_log),
    (Sphere(20), exact.sphere_log),
    (Rotations(3), exact.rotation_log),
    (SymmetricPositiveDefinite(2), exact.spd_log),
    (SymmetricPositiveDefinite(3), exact.spd_log),
]


def condition(p, q):
    """The largest condition number in sight, for positive definite matrices; 1 elsewhere."""
    return (
        float(max(np.linalg.cond(p.astype(float)), np.linalg.cond(q.astype(float)))) if p.ndim == 2 else 1.0
    )


@pytest.mark.parametrize(("M", "log"), LOGS, ids=lambda x: repr(x) if not callable(x) else "")
def test_log_and_distance(M, log):
    check_accuracy(M, log, condition=condition)


@pytest.mark.parametrize(("M", "log"), LOGS, ids=lambda x: repr(x) if not callable(x) else "")
def test_log_and_distance_in_single_precision(M, log):
    check_accuracy(M, log, dtype=np.float32)


@pytest.mark.parametrize(
    ("M", "exp", "allowed"),
    [
        (Sphere(2), exact.sphere_exp, 2e-15),
        (Sphere(20), exact.sphere_exp, 2e-15),
        (Rotations(3), exact.rotation_exp, 2e-15),
        (SymmetricPositiveDefinite(2), exact.spd_exp, 1e-13),
        (SymmetricPositiveDefinite(3), exact.spd_exp, 1e-13),
    ],
    ids=lambda x: repr(x) if hasattr(x, "dim") else "",
)
def test_exp(M, exp, allowed):
    check_exp_accuracy(M, exp, allowed=allowed)
