r"""Damped linear least squares without a factorization: LSMR and conjugate gradients, for operators and block matrices.

Both need products with J and J' only, and stop as soon as the answer is good enough for the point where it is asked
for: with the residual r of the normal equations at most eta times the first one, eta the forcing term. Eisenstat and
Walker's choice makes eta small as the gradient becomes so,

    eta = gamma (|g_k| / |g_{k-1}|)^alpha,    at most eta_max,

so that few products are spent far from a solution and convergence stays fast close to it.

References
----------
.. [1] D. C.-L. Fong, M. A. Saunders, LSMR: an iterative algorithm for sparse least-squares problems, SIAM J. Sci.
   Comput. 33 (2011), 2950-2971.
.. [2] S. C. Eisenstat, H. F. Walker, Choosing the forcing terms in an inexact Newton method, SIAM J. Sci. Comput. 17
   (1996), 16-32, choice 2.
.. [3] Å. Björck, Numerical Methods for Least Squares Problems, SIAM 1996, section 7.4 (CGLS).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from .block_matrix import BlockMatrix
from .preconditioners import BlockJacobi, BlockSquares, Jacobi


@dataclass(frozen=True)
class Iterative:
    """Base of the two: when to stop.

    Parameters
    ----------
    gamma, alpha : float
        Of the forcing term; 0 < gamma <= 1, 1 < alpha <= 2.
    least, largest : float
        Bounds of the forcing term.
    max_products : int, optional
        Most products with J per system; default four times the number of columns, at least 20.
    preconditioner : str or None
        See the solvers.
    """

    preconditioners: ClassVar[tuple[str | None, ...]] = ("block-jacobi", "jacobi")

    _: KW_ONLY
    gamma: float = 0.9
    alpha: float = 2.0
    least: float = 1e-10
    largest: float = 1e-2
    max_products: int | None = None
    preconditioner: str | None = "block-jacobi"

    def __post_init__(self) -> None:
        for name, holds, must in (
            ("gamma", 0.0 < self.gamma <= 1.0, "in (0, 1]"),
            ("alpha", 1.0 < self.alpha <= 2.0, "in (1, 2]"),
            ("least", 0.0 < self.least < 1.0, "in (0, 1)"),
            ("largest", self.least <= self.largest < 1.0, "at least `least` and below 1"),
            ("max_products", self.max_products is None or self.max_products >= 1, "at least 1, or None"),
        ):
            if not holds:
                raise ValueError(f"`{name}` must be {must}; got {getattr(self, name)!r}.")
        if self.preconditioner not in self.preconditioners:
            raise ValueError(
                f"`preconditioner` must be one of {', '.join(map(repr, self.preconditioners))}; got "
                f"{self.preconditioner!r}."
            )


class ForcingTerm:
    """The forcing term of a run: from the gradient at this Jacobian and the one before.

    Attributes
    ----------
    value : float
        The last one.
    """

    __slots__ = ("_last_norm", "_norm", "_r", "rule", "value")

    def __init__(self, rule: Iterative) -> None:
        self.rule, self.value = rule, rule.largest
        self._norm = self._last_norm = math.nan
        self._r: Any = None

    def renew(self) -> None:
        """Take note of a new Jacobian."""
        self._r = None
        self._last_norm, self._norm = self._norm, math.nan

    def at(self, r: Any, gradient: Callable[[], Any]) -> float:
        """The term for a residual, whose gradient is asked for once."""
        if r is not self._r:
            g = gradient()
            self._r, self._norm = r, math.sqrt(float(g.dot(g)))
            rule = self.rule
            ratio = self._norm / self._last_norm if self._last_norm > 0.0 else 1.0
            self.value = min(max(rule.gamma * ratio**rule.alpha, rule.least), rule.largest)
        return self.value


@dataclass(frozen=True)
class LSMR(Iterative):
    """LSMR of Fong and Saunders: the gradient of the linear problem decreases in every step.

    Parameters
    ----------
    gamma, alpha, least, largest, max_products
        See `Iterative`.
    preconditioner : {"block-jacobi", "jacobi"}
        Variables in which the diagonal blocks of J'J + lam D^2 are identities, one block a variable, where J is a block
        matrix; for others, and for ``"jacobi"``, those in which columns have unit length.
    """

    def bind(self) -> _BoundIterative:
        """Run-time object."""
        return _BoundLSMR(self)


@dataclass(frozen=True)
class ConjugateGradients(Iterative):
    """Conjugate gradients on the normal equations, which are never formed (CGLS).

    Parameters
    ----------
    gamma, alpha, least, largest, max_products
        See `Iterative`.
    preconditioner : {"block-jacobi", "jacobi"}
        Variables in which the diagonal blocks of J'J + lam D^2 are identities, one block a variable, where J is a block
        matrix; for others, and for ``"jacobi"``, those in which columns have unit length.
    """

    def bind(self) -> _BoundIterative:
        """Run-time object."""
        return _BoundCG(self)


class _BoundIterative:
    """Keeps J, the norms of its columns, and the last gradient.

    Attributes
    ----------
    eta : float
        The forcing term of the last system.
    products : int
        Products with J in all systems so far.
    """

    __slots__ = ("_J", "_forcing", "_norms", "_squares", "products", "rule")

    def __init__(self, rule: Iterative) -> None:
        self.rule = rule
        self._J: Any = None
        self._norms: Any = None
        self._squares: BlockSquares | None = None
        self._forcing = ForcingTerm(rule)
        self.products = 0

    @property
    def eta(self) -> float:
        """See the class."""
        return self._forcing.value

    def factor(self, J: Any) -> None:
        """Take a new J; nothing is factorized."""
        self._J, self._norms, self._squares = J, None, None
        self._forcing.renew()

    def column_norms(self) -> Any:
        """Norms of the columns of J: exact for matrices, 1 for operators, whose columns are not known."""
        if self._norms is None:
            self._norms = _column_norms(self._J)
        return self._norms

    def projected_norm(self, r: Any) -> float:
        """|P r|: the length of J s for the undamped step, to the last digits that can be had."""
        _, Js = self._solved(r, 0.0, None, self.rule.least)
        return math.sqrt(float(Js.dot(Js)))

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s to the forcing term, and J s."""
        return self._solved(r, lam, scale, self._forcing.at(r, lambda: self._J.T @ r))

    def _solved(self, r: Any, lam: float, scale: Any, eta: float) -> tuple[Any, Any]:
        """Solve in variables z = R s, see `manifold_opt.linalg.preconditioners`."""
        damping = lam if scale is None else lam * scale * scale
        R = self._preconditioner(damping)
        root = np.sqrt(damping) if np.any(damping) else None
        s = R.apply(self._iterate(r, R, root, eta))
        return s, self._J.dot(s)

    def _preconditioner(self, damping: Any) -> Jacobi | BlockJacobi:
        norms = self.column_norms()
        if self.rule.preconditioner == "jacobi" or not isinstance(self._J, BlockMatrix):
            return Jacobi(norms, damping)
        if self._squares is None:
            self._squares = BlockSquares(self._J)
        return BlockJacobi(self._squares, norms, damping)

    def _limit(self) -> int:
        return self.rule.max_products or max(20, 4 * self._J.shape[1])

    def _iterate(self, r: Any, R: Jacobi | BlockJacobi, root: Any, eta: float) -> Any:
        """z, given the preconditioner and the square root of the damping, or None for none."""
        raise NotImplementedError


class _BoundCG(_BoundIterative):
    __slots__ = ()

    def _iterate(self, r: Any, R: Jacobi | BlockJacobi, root: Any, eta: float) -> Any:
        J, d = self._J, self._J.shape[1]
        z, top, below = np.zeros(d, r.dtype), -r, np.zeros(d, r.dtype)
        g = R.apply_transposed(J.T @ top)
        p, square = g, float(g.dot(g))
        target = eta * eta * square
        for _ in range(self._limit()):
            if not square > target:
                break
            self.products += 1
            q = R.apply(p)
            Jq, Dq = J.dot(q), 0.0 * q if root is None else root * q
            curvature = float(Jq.dot(Jq)) + float(Dq.dot(Dq))
            if not curvature > 0.0:
                break
            t = square / curvature
            z, top, below = z + t * p, top - t * Jq, below - t * Dq
            g = J.T @ top
            g = R.apply_transposed(g if root is None else g + root * below)
            before, square = square, float(g.dot(g))
            p = g + (square / before) * p
        return z


class _BoundLSMR(_BoundIterative):
    __slots__ = ()

    def _iterate(self, r: Any, R: Jacobi | BlockJacobi, root: Any, eta: float) -> Any:
        from scipy.sparse.linalg import LinearOperator, lsmr

        J, (m, d) = self._J, self._J.shape

        def matvec(x: Any) -> Any:
            self.products += 1
            q = R.apply(x.reshape(-1))
            top = J.dot(q)
            return top if root is None else np.concatenate([top, root * q])

        def rmatvec(y: Any) -> Any:
            y = y.reshape(-1)
            g = J.T @ y[:m]
            return R.apply_transposed(g if root is None else g + root * y[m:])

        A = LinearOperator((m if root is None else m + d, d), matvec=matvec, rmatvec=rmatvec, dtype=r.dtype)
        b = -r if root is None else np.concatenate([-r, np.zeros(d, r.dtype)])
        # stops where |A'res| <= atol |A| |res|: eta times that of the start, |A| being about sqrt(d)
        g = rmatvec(b)
        size = math.sqrt(float(b.dot(b)) * d)
        atol = max(eta * math.sqrt(float(g.dot(g))) / size, 1e-15) if size > 0.0 else eta
        return lsmr(A, b, atol=atol, btol=1e-15, conlim=0.0, maxiter=self._limit())[0]


def _column_norms(J: Any) -> Any:
    if isinstance(J, np.ndarray):
        return np.sqrt(np.add.reduce(J * J))
    if hasattr(J, "parts"):  # a block matrix, whose parts may overlap only with zeros elsewhere
        squares = np.zeros(J.shape[1])
        for part in J:
            columns = np.einsum("nmk,nmk->nk", part.blocks, part.blocks)
            squares += np.bincount(part.indices.reshape(-1), columns.reshape(-1), minlength=J.shape[1])
        return np.sqrt(squares)
    if hasattr(J, "multiply"):
        return np.sqrt(np.asarray(J.multiply(J).sum(axis=0))).reshape(-1)
    return np.ones(J.shape[1])
