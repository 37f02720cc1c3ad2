"""Cholesky factors of many small matrices at once: entries first, matrices last, so that operations are long ones."""

from __future__ import annotations

from typing import Any

import numpy as np


def inverse_cholesky(A: Any) -> Any:
    """Inverses of the lower Cholesky factors of many small matrices at once.

    Parameters
    ----------
    A : array of shape (e, e, n)
        Symmetric; only the lower triangles are read.

    Returns
    -------
    array of shape (e, e, n)
        L^-1 with A = L L'; zero above the diagonal.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a matrix is not positive definite to working precision, naming it.
    """
    e = len(A)
    eps = e * np.finfo(A.dtype).eps
    L, X = np.zeros_like(A), np.zeros_like(A)
    for j in range(e):
        pivot = A[j, j].copy()
        for k in range(j):
            pivot -= L[j, k] * L[j, k]
        good = pivot > eps * A[j, j]
        if not good.all():
            raise np.linalg.LinAlgError(
                f"the block of instance {int(np.argmin(good))} is not positive definite to working precision"
            )
        L[j, j] = np.sqrt(pivot)
        X[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, e):
            entry = A[i, j].copy()
            for k in range(j):
                entry -= L[i, k] * L[j, k]
            L[i, j] = entry * X[j, j]
    for i in range(e):
        for j in range(i):
            entry = L[i, j] * X[j, j]
            for k in range(j + 1, i):
                entry += L[i, k] * X[k, j]
            X[i, j] = -entry * X[i, i]
    return X
