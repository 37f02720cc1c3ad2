"""The square root of matrices that are not symmetric, and its derivative."""

import autograd
import numpy as np
from scipy.linalg import sqrtm

from manifold_opt.linalg.square_root import matrix_sqrt


def matrices(size=()):
    """Positive eigenvalues, eigenvectors that are not orthogonal."""
    rng = np.random.default_rng(4)
    V = rng.standard_normal((*size, 3, 3)) + 2.0 * np.eye(3)
    return V @ (np.geomspace(1e-3, 10.0, 3)[:, None] * np.linalg.inv(V))


def test_values():
    A = matrices((4,))
    X = matrix_sqrt(A)
    np.testing.assert_allclose(X @ X, A, atol=1e-12)
    for one, root in zip(A, X):
        np.testing.assert_allclose(root, np.real(sqrtm(one)), atol=1e-10)
    assert matrix_sqrt(A.astype(np.float32)).dtype == np.float32


def test_derivative():
    A, W, E = matrices(), *np.random.default_rng(0).standard_normal((2, 3, 3))
    G = autograd.grad(lambda M: autograd.numpy.sum(W * matrix_sqrt(M)))(A)
    h = 1e-6
    slope = np.sum(W * (matrix_sqrt(A + h * E) - matrix_sqrt(A - h * E))) / (2 * h)
    np.testing.assert_allclose(np.sum(G * E), slope, rtol=1e-5)
