r"""The directions that a large sparse J does not determine, by subspace iteration with a factor of J'J.

With D the norms of the columns, the small singular values of J D^-1 belong to the large eigenvalues of
D (J'J + delta D^2)^-1 D, delta at rounding level. A few solutions with some random vectors turn them into the space of
all directions with singular values below about the root of delta, and Rayleigh-Ritz with J itself, not J'J, says how
small these values are: those at rounding level are null directions.

References
----------
.. [1] G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, Johns Hopkins 2013, section 8.2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .multifrontal import Factorization

# the damping below which the factor cannot tell a pivot from zero
DAMPING = 1e-12
_ROUNDS = 3
# a pivot that is hardly more than the damping hints at a null direction
_HINT = 1e-8
_MOST = 400


class NullSpace(NamedTuple):
    """What a Jacobian does not determine.

    Attributes
    ----------
    basis : array of shape (r, size)
        Orthonormal.
    smallest : float
        Estimate of the smallest other singular value of J with columns of length one; NaN if none was looked at.
    largest : float
        Estimate of the largest.
    complete : bool
        False where there are more directions than were looked for.
    """

    basis: Any
    smallest: float
    largest: float
    complete: bool

    @property
    def condition(self) -> float:
        """Estimate of the condition of J with columns of length one, null directions left out."""
        return self.largest / self.smallest


def null_space(J: Any, norms: Any, factor: Factorization, values: Any, tolerance: float) -> NullSpace:
    """Null directions of J.

    Parameters
    ----------
    J : BlockMatrix or SciPy sparse matrix
    norms : array of shape (size,)
        Of its columns.
    factor : Factorization
        For J'J; afterwards it holds that of J'J + delta D^2.
    values : array
        Numbers of J'J.
    tolerance : float
        Singular values of J with columns of length one up to this count as zero.
    """
    n = len(norms)
    # a column that is zero is one of the null directions
    D = np.where(norms > 0.0, norms, norms.max(initial=0.0) or 1.0)
    factor.factor(values, DAMPING * D * D)
    pivots = factor.pivots()
    hints = 0 if pivots is None else int(np.count_nonzero(pivots <= _HINT * factor.diagonal))
    rng = np.random.default_rng(0)
    largest = _largest(J, D, rng)
    k = min(n, hints + 4)
    while True:
        Y = rng.standard_normal((n, k))
        for _ in range(_ROUNDS):
            Z = np.linalg.qr(D[:, None] * factor.solve(D[:, None] * Y))[0]  # scaled: D times a direction
            Y = Z
        V = Z / D[:, None]
        small = np.linalg.svd(np.stack([J @ np.ascontiguousarray(v) for v in V.T], axis=1), full_matrices=False)
        order = small[1] <= tolerance
        found = int(np.count_nonzero(order))
        complete = found < k or k == n
        if complete or k >= _MOST:
            break
        k = min(n, 4 * k, _MOST)
    basis = np.linalg.qr(V @ small[2][len(small[1]) - found :].T)[0].T if found else np.zeros((0, n))
    smallest = float(small[1][len(small[1]) - found - 1]) if found < len(small[1]) else np.nan
    return NullSpace(basis, smallest, largest, complete)


def _largest(J: Any, D: Any, rng: Any) -> float:
    """Largest singular value of J D^-1, to some digits."""
    x = rng.standard_normal(len(D))
    length = 0.0
    for _ in range(20):
        x /= np.linalg.norm(x)
        y = J @ (x / D)
        length = float(np.linalg.norm(y))
        x = (J.T @ y) / D
        if not x.any():
            break
    return length
