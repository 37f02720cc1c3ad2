r"""Small least-squares problems, thousands at once: Householder's QR with the batch on the last axis.

LAPACK takes some microseconds to be called for each of many small matrices. Here every operation is one of NumPy on all
of them, and the loops run over the columns, of which there are few.

References
----------
.. [1] G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, Johns Hopkins 2013, section 5.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def triangles(A: Any) -> Any:
    """Upper triangles R of the QR factorizations of many matrices.

    Parameters
    ----------
    A : array of shape (m, n, batch)
        Destroyed.

    Returns
    -------
    array of shape (min(m, n), n, batch)
        What is below the diagonal is zero.
    """
    m, n = A.shape[:2]
    for k in range(min(m - 1, n)):
        v = A[k:, k]
        square = np.einsum("ib,ib->b", v, v)
        alpha = -np.copysign(np.sqrt(square), v[0])
        square -= alpha * v[0]
        beta = 1.0 / np.where(square > 0.0, square, 1.0)  # a zero column is left alone: v is zero
        v[0] -= alpha
        for j in range(k + 1, n):
            rest = A[k:, j]
            w = np.einsum("ib,ib->b", v, rest)
            w *= beta
            rest -= v * w
        v[1:] = 0.0
        v[0] = alpha
    return A[: min(m, n)]


def damped(T: Any, damping: Any) -> Any:
    """Minimizers s of |c + R s|^2 + |diag(damping) s|^2.

    Parameters
    ----------
    T : array of shape (k, d + 1, batch)
        [R c], upper triangular.
    damping : array of shape (d, batch)
        Positive.

    Returns
    -------
    array of shape (d, batch)
    """
    k, n, batch = T.shape
    d = n - 1
    A = np.zeros((k + d, n, batch), T.dtype)
    A[:k] = T
    i = np.arange(d)
    A[k + i, i] = damping
    R = triangles(A)
    s = np.empty((d, batch), T.dtype)
    for j in range(d - 1, -1, -1):
        s[j] = -(R[j, d] + np.einsum("jb,jb->b", R[j, j + 1 : d], s[j + 1 :])) / R[j, j]
    return s
