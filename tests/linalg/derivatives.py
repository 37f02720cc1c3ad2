"""Finite-difference checks of derivative rules: both modes of autograd, first and second order."""

import autograd
import autograd.numpy as anp
import numpy as np


def check_rules(f, A, E, step=1e-5, tolerance=2e-8):
    """Compare gradient, Hessian product and forward mode of a cost of f at A along E with central differences."""
    weights = np.random.default_rng(7).standard_normal(f(A).shape)

    def cost(A):
        value = f(A)
        return anp.sum(weights * value + 0.3 * value * value)

    def difference(g):
        return (g(A + step * E) - g(A - step * E)) / (2.0 * step)

    gradient = autograd.grad(cost)
    slope = np.sum(gradient(A) * E)
    assert abs(slope - difference(cost)) <= tolerance * (1.0 + abs(slope))
    forward = autograd.make_jvp(f)(A)(E)[1]
    np.testing.assert_allclose(forward, difference(f), rtol=0, atol=tolerance * (1.0 + np.abs(forward).max()))
    product = autograd.hessian_vector_product(cost)(A, E)
    limit = 10 * tolerance * (1.0 + np.abs(product).max())
    np.testing.assert_allclose(product, difference(gradient), rtol=0, atol=limit)
    np.testing.assert_allclose(
        autograd.make_jvp(gradient)(A)(E)[1], product, rtol=0, atol=1e-11 * limit / tolerance
    )
