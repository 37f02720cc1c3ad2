"""Small problems with known answers that the tests of solvers, step sizes and directions share."""

from __future__ import annotations

import numpy as np

from manifold_opt import CostObjective, Euclidean, PowerManifold, Problem, ProductManifold, Sphere


def unit(x):
    x = np.asarray(x, dtype=float)
    return x / np.linalg.norm(x)


def circle(angle):
    return np.array([np.cos(angle), np.sin(angle)])


def mean(M, data):
    """f = 1/(2 m) sum of squared distances, with its gradient."""
    data = np.asarray(data)
    f = lambda p: 0.5 * float(np.mean([M.distance(p, q) ** 2 for q in data]))
    gradient = lambda p: -sum(M.log(p, q) for q in data) / len(data)
    return f, gradient


def circle_mean():
    """Reference case 8: the mean 0 of four angles, from the first of them."""
    M, angles = Sphere(1), [-np.pi / 2, np.pi / 4, 0.0, np.pi / 4]
    f, gradient = mean(M, [circle(a) for a in angles])
    return M, f, gradient, circle(angles[0]), circle(0.0)


def sphere_mean():
    """Reference case 9: the mean is the north pole, from which four points are shot; f = 1/8 sum d^2."""
    M, north = Sphere(2), np.array([0.0, 0.0, 1.0])
    data = [M.exp(north, np.array(X, dtype=float)) for X in ([1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0])]
    f, gradient = mean(M, data)
    return M, f, gradient, data[0], north


def rayleigh(A):
    """f = p'Ap on the unit sphere; the minimum is the least eigenvalue."""
    A = np.asarray(A, dtype=float)

    def gradient(p):
        G = 2.0 * (A @ p)
        return G - p.dot(G) * p

    return Sphere(len(A) - 1), lambda p: float(p @ A @ p), gradient


def rosenbrock(x):
    return float(np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))


def rosenbrock_gradient(x):
    g = np.zeros_like(x)
    d = x[1:] - x[:-1] ** 2
    g[1:] += 200.0 * d
    g[:-1] += -400.0 * x[:-1] * d - 2.0 * (1.0 - x[:-1])
    return g


def with_spheres(f, gradient, n):
    """The Euclidean problem f of n unknowns on PowerManifold(Sphere(2), 3) x Euclidean(n), coupled to the spheres.

    The cost adds c |s_i - a_i|^2 for three spheres, c = 1 + 1/4 sin of the first unknown: the blocks interact, and at
    the minimum s = a and x is that of f.
    """
    M = ProductManifold(s=PowerManifold(Sphere(2), 3), x=Euclidean(n))
    a = np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [-2 / 3, 1 / 3, 2 / 3]])

    def cost(p):
        s, x = M.split(p)
        return f(x) + (1.0 + 0.25 * np.sin(x.flat[0])) * float(np.sum((s - a) ** 2))

    def euclidean(p):
        s, x = M.split(p)
        g = np.array(gradient(x), dtype=float)
        g.flat[0] += 0.25 * np.cos(x.flat[0]) * np.sum((s - a) ** 2)
        return M.join_embedding(2.0 * (1.0 + 0.25 * np.sin(x.flat[0])) * (s - a), g)

    def start(x0):
        return M.join(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.asarray(x0, dtype=float))

    return M, cost, lambda p: M.riemannian_gradient(p, euclidean(p)), start, a


def problem(M, f, gradient):
    return Problem(M, CostObjective(f, gradient))
