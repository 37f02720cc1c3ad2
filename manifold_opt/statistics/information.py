r"""What a Jacobian says about the coordinates, and what it does not.

The singular value decomposition of J D^-1, D the norms of the columns, does not depend on the units of the variables
and never squares the condition number. A singular value at rounding level is a direction along which no residual
changes: a gauge freedom of the problem, or a variable that is not there.

References
----------
.. [1] Å. Björck, Numerical Methods for Least Squares Problems, SIAM 1996, sections 2.7 and 2.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..linalg.solvers import dense
from .variables import Variable

# components of a null direction below this part of the largest are rounding
_SEEN = 1e-6


@dataclass(frozen=True, eq=False)
class NullDirection:
    """A direction of the tangent space along which no residual changes.

    Attributes
    ----------
    coordinates : array of shape (dim,)
        Of unit length.
    labels : tuple of str
        The coordinates that it moves.
    variables : tuple of str
        The variables that it moves.
    """

    coordinates: Any
    labels: tuple[str, ...]
    variables: tuple[str, ...]

    def __str__(self) -> str:
        moved = [f"{self.coordinates[i]:+.3g} {label}" for i, label in zip(self.moved, self.labels, strict=True)]
        names = self.variables
        listed = " ".join(moved) if len(moved) <= 6 else " ".join(moved[:6]) + f" ... ({len(moved)} coordinates)"
        return f"{listed}  (of {', '.join(names[:6])}{', ...' if len(names) > 6 else ''})"

    @property
    def moved(self) -> Any:
        """Numbers of the coordinates that it moves."""
        size = np.abs(self.coordinates)
        return np.flatnonzero(size > _SEEN * size.max())


@dataclass(frozen=True, eq=False)
class Information:
    """Rank, pseudo-inverse of J'J, and null space of a Jacobian.

    Attributes
    ----------
    rank : int
    inverse : array of shape (dim, dim)
        (J'J)^-1; where J has not full rank its pseudo-inverse, which is zero along the null space.
    null : array of shape (dim - rank, dim)
        Orthonormal basis of the null space.
    condition : float
        Largest by smallest singular value of J with its columns brought to length one, null directions left out.
    range : array of shape (m, rank)
        Orthonormal basis of the range of J.
    """

    rank: int
    inverse: Any
    null: Any
    condition: float
    range: Any


def information(J: Any, rcond: float) -> Information:
    """Decompose a Jacobian.

    Parameters
    ----------
    J : array of shape (m, dim), sparse matrix or operator
    rcond : float
        Singular values of the column-scaled J below this part of the largest count as zero.

    Returns
    -------
    Information

    Raises
    ------
    ValueError
        When J is not finite.
    """
    J = dense(J).astype(float, copy=False)
    if not np.isfinite(J).all():
        raise ValueError("the Jacobian at the solution is not finite, so that nothing can be said about errors.")
    norms = np.sqrt(np.einsum("ij,ij->j", J, J))
    # a column at the rounding of the others is no information, whatever its direction
    present = norms > np.finfo(float).tiny
    D = np.where(present, norms, 1.0)
    U, w, Vt = np.linalg.svd(J / D, full_matrices=J.shape[0] < J.shape[1])
    largest = w[0] if w.size else 0.0
    rank = int(np.count_nonzero(w > rcond * largest)) if largest > 0.0 else 0
    half = (Vt[:rank].T / w[:rank]) / D[:, None]
    null = np.linalg.qr((Vt[rank:] / D).T)[0].T if rank < J.shape[1] else np.zeros((0, J.shape[1]))
    half -= null.T @ (null @ half)  # the inverse that moves nothing along the null space, in the metric of the manifold
    condition = float(w[0] / w[rank - 1]) if rank else np.inf
    return Information(rank, half @ half.T, null, condition, U[:, :rank])


def null_directions(null: Any, pieces: list[Variable]) -> list[NullDirection]:
    """A basis of the null space whose vectors move few coordinates each, with the names of these.

    Parameters
    ----------
    null : array of shape (k, dim)
    pieces : list of Variable

    Returns
    -------
    list of NullDirection
    """
    labels = [label for piece in pieces for label in piece.labels]
    directions = []
    for row in _reduced(null):
        size = np.abs(row)
        row = np.where(size > _SEEN * size.max(), row, 0.0)
        row /= np.linalg.norm(row)
        moved = np.flatnonzero(row)
        names = tuple(piece.name for piece in pieces if row[piece.columns].any())
        directions.append(NullDirection(row, tuple(labels[i] for i in moved), names))
    return sorted(directions, key=lambda direction: tuple(direction.moved))


def _reduced(null: Any) -> Any:
    """Gauss-Jordan elimination with full pivoting: rows of the same span with many zeros."""
    A = np.array(null)
    for i in range(len(A)):
        rows = np.abs(A[i:])
        k, j = np.unravel_index(rows.argmax(), rows.shape)
        A[[i, i + k]] = A[[i + k, i]]
        A[i] /= A[i, j]
        others = np.arange(len(A)) != i
        A[others] -= np.outer(A[others, j], A[i])
    return A


def singular_variables(J: Any, pieces: list[Variable], rcond: float) -> dict[str, int]:
    """Variables that the residual would not determine even if all others were known, and the rank each has alone."""
    J = dense(J)
    scale = float(np.linalg.norm(J, axis=0).max(initial=0.0))
    found = {}
    for piece in pieces:
        columns = J[:, piece.columns]
        w = np.linalg.svd(columns, compute_uv=False)
        # against its own largest number and, far lower, that of the whole Jacobian
        least = max(rcond * w[0], np.finfo(float).eps ** 2 * scale) if w.size else 0.0
        rank = int(np.count_nonzero(w > least))
        if rank < columns.shape[1]:
            found[piece.name] = rank
    return found
