"""Problems whose solutions are known, for all solvers."""

from __future__ import annotations

import numpy as np

from manifold_opt import CostObjective, Euclidean, PowerManifold, Problem, ProductManifold, Sphere

RAYLEIGH = np.array([[2.0, 1, 0, 3], [1, 3, 4, 5], [0, 4, 3, 2], [3, 5, 2, 6]])  # not symmetric: case 16
RAYLEIGH = 0.5 * (RAYLEIGH + RAYLEIGH.T)
TRIDIAGONAL = np.array([[1.0, 2, 3, 0], [2, 4, 5, 6], [3, 5, 7, 8], [0, 6, 8, 9]])  # case 20


def rayleigh(A, sign=1.0):
    """p'Ap with its Euclidean derivatives."""
    return CostObjective(
        lambda p: sign * float(p @ (A @ p)),
        lambda p: sign * 2.0 * (A @ p),
        lambda p, X: sign * 2.0 * (A @ X),
        objective_type="euclidean",
    )


def mixed():
    """Three eigenvector problems and a Euclidean quadratic, coupled: PowerManifold(Sphere(2), 3) x Euclidean(2)."""
    M = ProductManifold(s=PowerManifold(Sphere(2), 3), x=Euclidean(2))
    A = np.array([np.diag([1.0, 2.0, 4.0]), np.diag([3.0, 1.5, 2.0]), np.diag([2.0, 5.0, 1.0])])
    b = np.array([0.3, -0.2])

    def f(s, x):
        return ((s * (A @ s[..., None])[..., 0]).sum()) + ((x - b) ** 2).sum() + 0.1 * ((x[0] * s[0, 1]) ** 2)

    p0 = M.join(
        np.array([[2.0, 2.0, 1.0], [1.0, 2.0, -2.0], [6.0, 2.0, 3.0]]) / np.array([[3.0], [3.0], [7.0]]),
        np.array([1.0, 2.0]),
    )
    return Problem(M, CostObjective(M.componentwise(f))), p0, 1.0 + 1.5 + 1.0


def quadratic(H, b):
    """1/2 x'Hx - b'x on R^n."""
    H, b = np.asarray(H, dtype=float), np.asarray(b, dtype=float)
    return CostObjective(lambda x: 0.5 * float(x @ (H @ x)) - float(b @ x), lambda x: H @ x - b, lambda x, X: H @ X)


def rosenbrock(x):
    """Minimum 0 at ones."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()
