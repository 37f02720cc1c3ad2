"""The square root of a matrix that is not symmetric."""

from __future__ import annotations

import numpy as np

from manifold_opt.linalg.frames import general_sylvester
from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.rules import differentiable

__all__ = ["matrix_sqrt"]

# Newton's iteration converges quadratically once it is near; these many steps take spectra of any practical spread.
_STEPS = 40


def _sqrt_forward(M: Array) -> Array:
    """The coupled iteration of Denman and Beavers, to the principal square root.

    N. J. Higham, Functions of Matrices, SIAM 2008, (6.15).
    """
    xp = namespace(M)
    X, Y = M, xp.eye(M.shape[-1], dtype=M.dtype) + 0.0 * M
    for _ in range(_STEPS):
        last = X
        X, Y = 0.5 * (X + xp.linalg.inv(Y)), 0.5 * (Y + xp.linalg.inv(X))
        if xp is np and np.max(np.abs(X - last), initial=0.0) <= 1e-9 * np.max(np.abs(X), initial=1.0):
            # the next change is the square of this one
            return 0.5 * (X + np.linalg.inv(Y))
    return X


_sqrt = differentiable(
    vjps=(lambda G, X, M: general_sylvester(transpose(X), transpose(X), G),),
    jvps=(lambda E, X, M: general_sylvester(X, X, E),),
)(_sqrt_forward)


def matrix_sqrt(M: Array) -> Array:
    """The principal square root of real matrices without negative real eigenvalues."""
    return _sqrt(M)
