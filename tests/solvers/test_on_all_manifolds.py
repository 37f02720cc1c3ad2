"""The first-order solvers on every manifold there is: the nearest point to a point of the embedding."""

from __future__ import annotations

import numpy as np
import pytest
from manifolds.all_manifolds import MANIFOLDS

from manifold_opt import conjugate_gradient_descent, quasi_newton

# From this dimension on a full matrix takes long and shows nothing new.
LARGE = 60


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_the_nearest_point_of_the_embedding(M):
    rng = np.random.default_rng(1)
    q, p0 = M.random_point(rng), M.random_point(rng)
    Z = M.embed_point(q)
    if M.has("injectivity_radius") and M.injectivity_radius == 0.0:
        # the manifold has a rim, a lower rank for instance, to which the way from afar may lead
        X = M.random_vector(q, rng)
        p0 = M.retract(q, X, 0.5 * min(1.0, M.max_step(q, X)))
    keywords = dict(gradient=lambda p: M.embed_point(p) - Z, objective_type="euclidean", max_iterations=400)

    def f(p):
        return 0.5 * float(np.sum(np.abs(M.embed_point(p) - Z) ** 2))

    assert quasi_newton(M, f, p0, memory=5, tolerance=1e-6, **keywords).converged
    assert conjugate_gradient_descent(M, f, p0, tolerance=1e-5, **keywords).converged
    if M.dim < LARGE:
        assert quasi_newton(M, f, p0, memory=None, tolerance=1e-6, **keywords).converged
