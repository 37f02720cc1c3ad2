r"""Variables in which [J; sqrt(lam) D] is easier for an iteration: z = R s, with R'R diagonal blocks of J'J + lam D^2.

Columns of unit length, or blocks of columns that are orthonormal, take units and the coupling within a variable (a
rotation against a translation, a focal length against a distortion) out of the system; what is between variables stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .block_matrix import BlockMatrix
from .elimination import Variable, variables_of
from .small_cholesky import inverse_cholesky


class Jacobi:
    """The diagonal: R = diag(W).

    Parameters
    ----------
    norms : array of shape (d,)
        Of the columns of J.
    damping : array of shape (d,) or float
        lam D^2.
    """

    def __init__(self, norms: Any, damping: Any) -> None:
        W = np.sqrt(norms * norms + damping)
        self._inverse = 1.0 / np.where(W > 0.0, W, 1.0).astype(norms.dtype, copy=False)

    def apply(self, z: Any) -> Any:
        """R^-1 z."""
        return self._inverse * z

    def apply_transposed(self, g: Any) -> Any:
        """R^-T g."""
        return self._inverse * g


class BlockSquares:
    """The diagonal blocks of J'J, variable by variable; columns of variables of which blocks overlap stand alone.

    Parameters
    ----------
    J : BlockMatrix
    """

    def __init__(self, J: BlockMatrix) -> None:
        alone = np.ones(J.shape[1], bool)
        self.variables: list[tuple[Any, Any]] = []
        for variable in variables_of(J):
            if variable.width is None or variable.width == 1 or (np.diff(variable.starts) < variable.width).any():
                continue
            columns = variable.starts + np.arange(variable.width)[:, None]
            self.variables.append((columns, _squares(J, variable)))
            alone[columns] = False
        self.alone = np.flatnonzero(alone)


def _squares(J: BlockMatrix, variable: Variable) -> Any:
    """Sums (e, e, n) of B'B over the blocks of each instance; two blocks of one instance in one row count as one."""
    e, n = int(variable.width), len(variable.starts)  # type: ignore[arg-type]  # the caller looked
    A = np.zeros((e, e, n), J.dtype)
    for i, number in enumerate(variable.parts):
        part = J.parts[number]
        here = part.columns >= 0
        instance = np.searchsorted(variable.starts, part.columns[here])
        B = part.blocks[here]
        products = [(B, B, instance)]
        for other in variable.parts[:i]:
            twin = J.parts[other]
            if twin.row == part.row:
                both = here & (twin.columns == part.columns)
                C, D = part.blocks[both], twin.blocks[both]
                where = np.searchsorted(variable.starts, part.columns[both])
                products += [(C, D, where), (D, C, where)]
        for left, right, where in products:
            for a in range(e):
                for b in range(e):
                    terms = np.einsum("nm,nm->n", left[:, :, a], right[:, :, b])
                    A[a, b] += np.bincount(where, terms, minlength=n)
    return A


class BlockJacobi:
    """The diagonal blocks: R = L' with L L' the Cholesky factors; the diagonal alone where a block is singular.

    Parameters
    ----------
    squares : BlockSquares
    norms, damping : array
        See `Jacobi`.
    """

    def __init__(self, squares: BlockSquares, norms: Any, damping: Any) -> None:
        damping = np.broadcast_to(damping, norms.shape)
        self._diagonal = Jacobi(norms, damping)
        self._blocks = []
        for columns, A in squares.variables:
            A = A.copy()
            A[range(len(A)), range(len(A))] += damping[columns]
            try:
                self._blocks.append((columns, inverse_cholesky(A)))
            except np.linalg.LinAlgError:
                continue

    def apply(self, z: Any) -> Any:
        """R^-1 z."""
        out = self._diagonal.apply(z)
        for columns, X in self._blocks:
            out[columns] = np.einsum("abn,an->bn", X, z[columns])
        return out

    def apply_transposed(self, g: Any) -> Any:
        """R^-T g."""
        out = self._diagonal.apply(g)
        for columns, X in self._blocks:
            out[columns] = np.einsum("abn,bn->an", X, g[columns])
        return out
