r"""Damped linear least squares with a sparse J, by a sparse Cholesky factorization of J'J + lam D^2.

The pattern of J'J, the order of elimination and the pattern of the factor are found once and kept as long as J keeps
its pattern; damping adds to the diagonal, so that another lam costs one numerical factorization and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .block_matrix import BlockMatrix
from .factorizations import METHODS, Factorization, factorization
from .multifrontal import ORDERINGS, CompiledFronts
from .normal_matrix import NormalPattern, canonical, known_pattern

# a pivot below this part of the diagonal entry that it came from is taken for zero, and raised by as much: some hundred
# units of rounding, so that what rounding leaves of the gradient along such a direction makes no step worth mentioning
_SINGULAR = 1e-13


@dataclass(frozen=True)
class SparseCholesky:
    """The normal equations (J'J + lam D^2) s = -J'r by a sparse factorization; for block matrices and SciPy's.

    Parameters
    ----------
    method : str
        Which factorization: ``"auto"``, ``"compiled"``, ``"numpy"``, ``"superlu"``, or one of another package, see
        `manifold_opt.linalg.factorizations`.
    ordering : {"auto", "minimum-degree", "nested-dissection"}
        In which order ``"compiled"`` and ``"numpy"`` eliminate the variables. Nested dissection needs pymetis; by
        default it is tried where it is installed and a factorization takes more than a billion operations, and taken
        where it saves some.
    """

    sparse: ClassVar[bool] = True
    method: str = "auto"
    ordering: str = "auto"

    def __post_init__(self) -> None:
        if self.ordering not in ORDERINGS:
            raise ValueError(f"`ordering` must be one of {', '.join(map(repr, ORDERINGS))}; got {self.ordering!r}.")
        if self.method != "auto" and self.method not in METHODS:
            raise ValueError(f"`method` must be 'auto' or one of {', '.join(map(repr, METHODS))}; got {self.method!r}.")

    def bind(self) -> BoundSparse:
        """Run-time object."""
        return BoundSparse(self)


class BoundSparse:
    """Keeps J, J'J, and everything about their pattern.

    Attributes
    ----------
    factorizations : int
        Numerical factorizations so far.
    singular : bool
        Whether J'J was found to be singular. The undamped step is then that of a damping at rounding level, which moves
        nothing along the directions that J does not determine; the statistics of a fit name these.
    """

    def __init__(self, rule: SparseCholesky) -> None:
        self.rule = rule
        self.factorizations = 0
        self._token = object()  # and not self, which the factor must not keep alive
        self.singular = False
        self._J: Any = None
        self._r: Any = None
        self._g: Any = None
        self._values: Any = None
        self._norms: Any = None
        self._key: Any = None
        self._solution: tuple[Any, Any] = (None, None)
        self._pattern: NormalPattern | None = None
        self._method: Factorization | None = None

    def fresh(self) -> BoundSparse:
        """Another one for another J, which shares the analysis of the pattern and the memory of the factor.

        Whoever of the two is asked after the other factorizes again.
        """
        other = BoundSparse(self.rule)
        other._pattern, other._method = self._pattern, self._method
        return other

    def factor(self, J: Any) -> None:
        """Take a new J, and form J'J."""
        J = J if isinstance(J, BlockMatrix) else canonical(_sparse(J))
        if self._pattern is None or not self._pattern.matches(J):
            self._pattern = known_pattern(J)
            self._method = factorization(self._pattern, self.rule.method, self.rule.ordering)
            self._values, self.singular = None, False
        self._J, self._r, self._key, self._norms = J, None, None, None
        compiled = isinstance(self._method, CompiledFronts)
        out = self._values if compiled or getattr(self._values, "dtype", None) == J.dtype else None
        self._values = self._pattern.values(J, out, compiled=compiled)

    def column_norms(self) -> Any:
        """Norms of the columns of J."""
        if self._norms is None:
            self._norms = np.sqrt(self._values[self._pattern.diagonal]).astype(self._J.dtype, copy=False)  # type: ignore[union-attr]  # there is a J
        return self._norms

    def gradient(self, r: Any) -> Any:
        """J'r."""
        if r is not self._r:
            self._r, self._g = r, self._J.T @ r
        return self._g

    def projected_norm(self, r: Any) -> float:
        """|P r|, from g' (J'J)^-1 g with g = J'r; what J'J leaves undetermined is not moved."""
        g = self.gradient(r)
        return math.sqrt(max(-float(g.dot(self._solved(g, 0.0, None))), 0.0))

    def damped_projection(self, r: Any, lam: float, scale: Any) -> float:
        """A lower bound of |P r|, for the price of the step of this damping, which is kept."""
        g = self.gradient(r)
        return math.sqrt(max(-float(g.dot(self._solved(g, lam, scale))), 0.0))

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s of |r + J s|^2 + lam |D s|^2, and J s."""
        s = self._solved(self.gradient(r), lam, scale)
        return s, self._J.dot(s)

    def regularized(self, g: Any, lam: float, scale: Any = None) -> Any:
        """-(J'J + lam D^2)^-1 g for any g, by the factor of the last step where lam and D are the same."""
        return self._solved(g, lam, scale)

    def _solved(self, g: Any, lam: float, scale: Any) -> Any:
        """-(J'J + lam D^2)^-1 g; the factor is kept for the next g, and the solution for the same."""
        key = self._key
        same = key is not None and key[0] == lam and (lam == 0.0 or key[1] is scale)
        if same and self._solution[0] is g:
            return self._solution[1]
        if same and self._method.owner is self._token:  # type: ignore[union-attr]  # there is a J
            x = self._method.solve(g)  # type: ignore[union-attr]
        else:
            self._key = None
            x = self._undamped(g) if lam == 0.0 else self._damped(g, lam, scale)
            self._key = lam, scale
        s = np.negative(x, out=x).astype(g.dtype, copy=False)
        self._solution = g, s
        return s

    def _undamped(self, g: Any) -> Any:
        """Solution with J'J itself, or what comes next to it where it is singular."""
        if not self.singular:
            try:
                x = self._factorized(g, None)
                self.singular = self._method.smallest_pivot() <= _SINGULAR  # type: ignore[union-attr]
            except np.linalg.LinAlgError:
                if not self._is_finite():
                    raise
                self.singular = True
            if not self.singular:
                return x
        return self._factorized(g, self._rounding())

    def _damped(self, g: Any, lam: float, scale: Any) -> Any:
        damping = np.full(len(g), lam, g.dtype) if scale is None else lam * scale * scale
        try:
            return self._factorized(g, damping)
        except np.linalg.LinAlgError:
            if not self._is_finite():
                raise
            return self._factorized(g, damping + self._rounding())

    def _is_finite(self) -> bool:
        return bool(np.isfinite(self._values).all())

    def _rounding(self) -> Any:
        """A damping at rounding level."""
        norms = self.column_norms()
        # a column of zeros may belong to a variable that no residual depends on
        return _SINGULAR * np.where(norms > 0.0, norms, norms.max(initial=0.0) or 1.0) ** 2

    def _factorized(self, g: Any, damping: Any) -> Any:
        self.factorizations += 1
        self._method.owner = self._token  # type: ignore[union-attr]
        return self._method.factor_and_solve(self._values, damping, g)  # type: ignore[union-attr]


def _sparse(J: Any) -> Any:
    """A SciPy matrix of a dense one; operators are refused."""
    if hasattr(J, "tocsr"):
        return J
    if isinstance(J, np.ndarray):
        from scipy.sparse import csr_array

        return csr_array(J)
    raise TypeError(
        f"SparseCholesky needs the numbers of the Jacobian, a block matrix, a SciPy matrix or an array; got "
        f"{type(J).__name__}. LSMR() and ConjugateGradients() make do with products."
    )
