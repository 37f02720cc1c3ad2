r"""Damped linear least squares with a sparse J, by a sparse Cholesky factorization of J'J + lam D^2.

The pattern of J'J, the order of elimination and the pattern of the factor are found once and kept as long as J keeps
its pattern; damping adds to the diagonal, so that another lam costs one numerical factorization and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .block_matrix import BlockMatrix
from .normal_matrix import NormalPattern


@dataclass(frozen=True)
class SparseCholesky:
    """The normal equations (J'J + lam D^2) s = -J'r by a sparse factorization; for block matrices and SciPy's."""

    def bind(self) -> BoundSparse:
        """Run-time object."""
        return BoundSparse(self)


class BoundSparse:
    """Keeps J, J'J, and everything about their pattern.

    Attributes
    ----------
    factorizations : int
        Numerical factorizations so far.
    """

    def __init__(self, rule: SparseCholesky) -> None:
        self.rule = rule
        self.factorizations = 0
        self._J: Any = None
        self._r: Any = None
        self._g: Any = None
        self._values: Any = None
        self._norms: Any = None
        self._key: Any = None
        self._pattern: NormalPattern | None = None
        self._method: Any = None

    def fresh(self) -> BoundSparse:
        """Another one that shares what is known of the pattern, for another J."""
        other = BoundSparse(self.rule)
        other._pattern, other._method = self._pattern, None if self._method is None else self._method.fresh()
        return other

    def factor(self, J: Any) -> None:
        """Take a new J, and form J'J."""
        J = J if isinstance(J, BlockMatrix) else _canonical(J)
        if self._pattern is None or not self._pattern.matches(J):
            self._pattern = NormalPattern(J)
            self._method = SuperLU(self._pattern)
        self._J, self._r, self._key, self._norms = J, None, None, None
        self._values = self._pattern.values(J)

    def column_norms(self) -> Any:
        """Norms of the columns of J."""
        if self._norms is None:
            self._norms = np.sqrt(self._values[self._pattern.diagonal])  # type: ignore[union-attr]  # there is a J
        return self._norms

    def gradient(self, r: Any) -> Any:
        """J'r."""
        if r is not self._r:
            self._r, self._g = r, self._J.T @ r
        return self._g

    def projected_norm(self, r: Any) -> float:
        """|P r|, from g' (J'J)^-1 g with g = J'r."""
        g = self.gradient(r)
        return math.sqrt(max(-float(g.dot(self._solved(g, 0.0, None))), 0.0))

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s of |r + J s|^2 + lam |D s|^2, and J s."""
        s = self._solved(self.gradient(r), lam, scale)
        return s, self._J.dot(s)

    def _solved(self, g: Any, lam: float, scale: Any) -> Any:
        """-(J'J + lam D^2)^-1 g; the factor is kept for the next g."""
        key = self._key
        if key is None or key[0] != lam or (lam != 0.0 and key[1] is not scale):
            damping = None if lam == 0.0 else np.full(len(g), lam) if scale is None else lam * scale * scale
            self._key = None
            self.factorizations += 1
            self._method.factor(self._values, damping)
            self._key = lam, scale
        return -self._method.solve(g)


def _canonical(J: Any) -> Any:
    """A SciPy matrix by rows, each entry once."""
    J = J.tocsr()
    J = J if J.dtype.char in "fd" else J.astype(float)
    if not J.has_canonical_format:
        J = J.copy()
        J.sum_duplicates()
    return J


class SuperLU:
    """SciPy's `splu` with the order of minimum degree: always there, twice the work of Cholesky."""

    def __init__(self, pattern: NormalPattern) -> None:
        self.pattern = pattern
        self._matrix: Any = None
        self._factor: Any = None

    def fresh(self) -> SuperLU:
        """Another one for the same pattern."""
        return SuperLU(self.pattern)

    def factor(self, values: Any, damping: Any) -> None:
        """Factorize J'J, given its numbers, plus a diagonal."""
        from scipy.sparse import csc_matrix
        from scipy.sparse.linalg import splu

        indptr, indices, at = self.pattern.full
        if damping is not None:
            values = values.copy()
            values[self.pattern.diagonal] += damping
        data = values[at]
        if not math.isfinite(float(data.sum())):
            raise np.linalg.LinAlgError("the normal equations are not finite")
        size = self.pattern.size
        A = csc_matrix((data, indices, indptr), shape=(size, size))
        try:
            self._factor = splu(
                A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise np.linalg.LinAlgError(f"the normal equations are singular ({error})") from None

    def solve(self, b: Any) -> Any:
        """Solution x of A x = b."""
        return self._factor.solve(b)
