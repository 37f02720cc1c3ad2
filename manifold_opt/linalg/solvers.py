r"""Damped linear least squares: minimize |r + J s|^2 + lam |D s|^2 over s, again and again for one J.

A linear solver is a frozen value; ``bind()`` makes the run-time object that keeps a factorization and its memory:

* ``factor(J)``: take a new matrix (an array, a SciPy sparse matrix, or a linear operator);
* ``column_norms()``: Euclidean norms of the columns of J, for scaling;
* ``projected_norm(r)``: norm of the projection of r onto the range of J;
* ``solve(r, lam, scale)``: ``(s, J s)``, with D = diag(scale), or the identity for None;
* ``reduced(r)``, where it has one: a small matrix R and c with |c + R s|^2 = |r + J s|^2 up to a constant.

`DenseQR` never forms J'J, whose condition number is the square of that of J: a step for another lam costs a
factorization of 2d rows only. `NormalEquations` does form it; it is for comparison, for methods defined by it, and
for a solver of the user's own.

References
----------
.. [1] J. J. Moré, The Levenberg-Marquardt algorithm: implementation and theory, LNM 630 (1978), section 3.
.. [2] Å. Björck, Numerical Methods for Least Squares Problems, SIAM 1996, sections 2.2 and 2.7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from . import lapack


def dense(J: Any) -> Any:
    """J as an array of floats: sparse matrices and linear operators are written out."""
    if not isinstance(J, np.ndarray):
        J = J.toarray() if hasattr(J, "toarray") else np.asarray(J @ np.eye(J.shape[1]))
    return J if J.dtype.char in "fd" else J.astype(float)


def without_columns(J: Any, mask: Any) -> Any:
    """J with zeros in the columns where a mask is True; block and sparse matrices stay what they are."""
    if hasattr(J, "without_columns"):
        return J.without_columns(mask)
    if hasattr(J, "tocsr"):
        J = J.tocsr(copy=True)
        J.data = J.data * ~mask[J.indices]
        return J
    return np.where(mask, 0.0, dense(J))


@dataclass(frozen=True)
class DenseQR:
    """Householder QR of [J r], then of the triangle with the damping below it; least squares by SVD where singular."""

    def bind(self) -> _BoundQR:
        """Run-time object."""
        return _BoundQR()


class _BoundQR:
    """Keeps J, the triangle [R Q'r], and the buffers for both factorizations.

    Attributes
    ----------
    least_pivot : float
        Of R, relative to the norms of its columns; 0 where the rank is less than d for sure.
    """

    __slots__ = (
        "_J",
        "_T",
        "_big",
        "_eps",
        "_geqrf",
        "_norms",
        "_ones",
        "_r",
        "_small",
        "_small_diagonal",
        "_triu",
        "_trtrs",
        "least_pivot",
    )

    def __init__(self) -> None:
        unknown: Any = None
        self._J = self._r = self._T = self._big = self._small = self._ones = unknown

    def factor(self, J: Any) -> None:
        """Take a new J. The work is done when the first r comes, which is factorized along."""
        self._J, self._r, self._norms = dense(J), None, None

    def column_norms(self) -> Any:
        """Norms of the columns of J."""
        if self._norms is None:
            J, ones = self._J, self._ones
            if ones is None or len(ones) != len(J) or ones.dtype != J.dtype:
                ones = self._ones = np.ones(len(J), J.dtype)
            self._norms = np.sqrt(ones.dot(J * J))
        return self._norms

    def projected_norm(self, r: Any) -> float:
        """|P r| for the orthogonal projection P onto the range of J."""
        T = self._triangle(r)
        c = T[:, -1]
        if self.least_pivot <= len(self._J) * self._eps:
            U, w, _ = np.linalg.svd(_with_unit_columns(T[:, :-1], self.column_norms())[0], full_matrices=False)
            c = U[:, w > max(self._J.shape) * self._eps * w[0]].T @ c
        return math.sqrt(c.dot(c))

    def reduced(self, r: Any) -> tuple[Any, Any]:
        """R of at most d rows and c with |c + R s|^2 = |r + J s|^2 up to a constant."""
        T = self._triangle(r)
        return T[:, :-1], T[:, -1]

    def reduced_last(self) -> tuple[Any, Any]:
        """The same for the residual that was given last."""
        return self.reduced(self._r)

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s of |r + J s|^2 + lam |D s|^2, and J s."""
        T = self._triangle(r)
        k, d = T.shape[0], T.shape[1] - 1
        B = self._stacked(T)
        root = math.sqrt(lam)
        damping = self._small_diagonal
        damping[:] = root if scale is None else root * scale
        R = self._geqrf(B, lwork=32 * (d + 1))[0][:d]
        norms = np.hypot(self.column_norms(), damping)
        if _least_pivot(R, norms) <= d * self._eps:
            s = -_least_norm(T[:k, :d], T[:, d], damping, norms)
        else:
            s = -self._trtrs(R[:, :d], R[:, d])[0]
        return s, self._J.dot(s)

    def _stacked(self, T: Any) -> Any:
        """[T; D 0], in memory whose lower block stays zero but for its diagonal."""
        k, n = T.shape
        B = self._small
        if B is None or B.shape != (k + n - 1, n) or B.dtype != T.dtype:
            B = self._small = np.zeros((k + n - 1, n), T.dtype, order="F")
            # column-major: the diagonal of the lower block is every (k + n)-th number from the k-th on
            self._small_diagonal = B.reshape(-1, order="F")[k : k + (n - 1) * (k + n) : k + n]
        B[:k] = T
        return B

    def _triangle(self, r: Any) -> Any:
        """[R Q'r], the upper triangle of the QR factorization of [J r] without its last row."""
        if r is self._r:
            return self._T
        J = self._J
        m, d = J.shape
        A = self._big
        if A is None or A.shape != (m, d + 1) or A.dtype != J.dtype:
            A = self._allocate(m, d, J.dtype)
        A[:, :d] = J
        A[:, d] = r
        # 32 columns at a time is LAPACK's block; its default workspace would make it work column by column
        norms = self.column_norms()
        if not math.isfinite(norms.dot(norms)) or not math.isfinite(r.dot(r)):
            raise np.linalg.LinAlgError("the Jacobian or the residual is not finite")
        R = self._geqrf(A, lwork=32 * (d + 1), overwrite_a=1)[0]
        T = self._T = R[: min(m, d)] * self._triu
        self.least_pivot = 0.0 if m < d else _least_pivot(T, norms)
        self._r = r
        return T

    def _allocate(self, m: int, d: int, dtype: Any) -> Any:
        A = self._big = np.empty((m, d + 1), dtype, order="F")
        single = A.dtype == np.float32
        self._geqrf = lapack.sgeqrf if single else lapack.dgeqrf
        self._trtrs = lapack.strtrs if single else lapack.dtrtrs
        self._eps = float(np.finfo(dtype).eps)
        self._triu = _upper(min(m, d), d + 1, A.dtype)
        return A


@lru_cache(maxsize=32)
def _upper(k: int, n: int, dtype: Any) -> Any:
    """Ones on and above the diagonal; not to be written to."""
    return np.triu(np.ones((k, n), dtype))


def _least_pivot(R: Any, norms: Any) -> float:
    """The smallest pivot relative to its column: how much a column of R differs from what those before it span."""
    least = math.inf
    for pivot, norm in zip(R.diagonal().tolist(), norms.tolist(), strict=False):  # numbers of Python, being few
        ratio = abs(pivot) / norm if norm else 0.0
        if ratio < least:
            least = ratio
    return least


def _with_unit_columns(A: Any, norms: Any) -> tuple[Any, Any]:
    """A with its columns, of these norms, brought to length one, and what they were divided by."""
    norms = np.where(norms > 0.0, norms, 1.0).astype(A.dtype)
    return A / norms, norms


def _least_norm(R: Any, c: Any, damping: Any, norms: Any) -> Any:
    """Solution of [R; diag(damping)] x = [c; 0] of smallest norm in units that make its columns equally long."""
    A, norms = _with_unit_columns(np.vstack([R, np.diag(damping)]), norms)
    b = np.concatenate([c, np.zeros(len(damping), R.dtype)])
    return np.linalg.lstsq(A, b, rcond=None)[0] / norms


@dataclass(frozen=True)
class PivotedQR:
    """QR of [J; sqrt(lam) D] with column pivoting, anew for each lam: for J of which the rank is in doubt.

    Columns that depend on the others to working precision get no step of their own (a basic solution).
    """

    def bind(self) -> _BoundPivotedQR:
        """Run-time object."""
        return _BoundPivotedQR()


class _BoundPivotedQR:
    """Keeps J and its small triangle."""

    __slots__ = ("_J", "_R", "_norms", "_rotated", "_seen", "rank")

    def __init__(self) -> None:
        self._J: Any = None
        self._R: Any = None
        self._norms: Any = None
        self._rotated: Any = None
        self._seen: Any = None
        self.rank = 0

    def factor(self, J: Any) -> None:
        """Take a new J."""
        self._J, self._seen = dense(J), None
        if not np.isfinite(self._J).all():
            raise np.linalg.LinAlgError("the Jacobian is not finite")
        self._norms = np.sqrt(np.add.reduce(self._J * self._J))

    def column_norms(self) -> Any:
        """Norms of the columns of J."""
        return self._norms

    def reduced(self, r: Any) -> tuple[Any, Any]:
        """R and c with |c + R s|^2 = |r + J s|^2 up to a constant."""
        if r is not self._seen:
            Q, R = np.linalg.qr(self._J)
            self._R, self._rotated, self._seen = R, Q.T @ r, r
        return self._R, self._rotated

    def reduced_last(self) -> tuple[Any, Any]:
        """The same for the residual that was given last."""
        return self.reduced(self._seen)

    def projected_norm(self, r: Any) -> float:
        """|P r| for the orthogonal projection P onto the range of J."""
        Js = self.solve(r, 0.0)[1]
        return math.sqrt(float(Js.dot(Js)))

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s of |r + J s|^2 + lam |D s|^2 with as many zeros as the rank lacks, and J s."""
        from scipy.linalg import qr, solve_triangular

        R, c = self.reduced(r)
        d = R.shape[1]
        damping = np.full(d, math.sqrt(lam)) if scale is None else math.sqrt(lam) * scale
        A, norms = _with_unit_columns(np.vstack([R, np.diag(damping)]), np.hypot(self._norms, damping))
        b = np.concatenate([c, np.zeros(d, R.dtype)])
        Q, T, order = qr(A, mode="economic", pivoting=True)
        pivots = np.abs(T.diagonal())
        self.rank = k = int(np.count_nonzero(pivots > max(self._J.shape) * np.finfo(T.dtype).eps * pivots[0]))
        s = np.zeros(d, R.dtype)
        s[order[:k]] = -solve_triangular(T[:k, :k], (Q.T @ b)[:k])
        s /= norms
        return s, self._J.dot(s)


@dataclass(frozen=True)
class DenseSVD:
    """Singular values of J D^-1: the shortest step in every case, and one decomposition for all lam.

    The dearest of all, for small problems and for looking at; ``bound.singular_values`` are those of the last system.
    """

    def bind(self) -> _BoundSVD:
        """Run-time object."""
        return _BoundSVD()


class _BoundSVD(_BoundPivotedQR):
    """Keeps the decomposition for the last residual and scale."""

    __slots__ = ("_key", "_steps")

    def __init__(self) -> None:
        super().__init__()
        self._key: Any = None
        self._steps: Any = None

    @property
    def singular_values(self) -> Any:
        """Those that count, the largest first."""
        return self._steps.w

    def factor(self, J: Any) -> None:
        """Take a new J."""
        super().factor(J)
        self._key = None

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s of |r + J s|^2 + lam |D s|^2, the shortest in the norm of D, and J s."""
        from .damped_steps import SingularSteps

        if self._key is None or self._key[0] is not r or self._key[1] is not scale:
            R, c = self.reduced(r)
            if scale is None:
                # the shortest step in units that make the columns equally long
                scale_used = None if lam > 0.0 else np.where(self._norms > 0.0, self._norms, 1.0)
            else:
                scale_used = scale
            self._steps, self._key = SingularSteps(R, c, scale_used), (r, scale) if scale is not None else None
        z = -self._steps.scaled_step(lam).dot(self._steps.V)
        s = z if self._steps.scale is None else z / self._steps.scale
        self.rank = len(self._steps.w)
        return s, self._J.dot(s)


@dataclass(frozen=True)
class NormalEquations:
    """The system (J'J + lam D^2) s = -J'r, solved as it stands.

    Parameters
    ----------
    solve : callable, optional
        ``solve(A, b) -> x`` with A x = b for the symmetric A. Default: Cholesky, and a symmetric indefinite
        factorization where A is not positive definite (`solve_symmetric`).
    """

    solve: Callable[[Any, Any], Any] | None = None

    def bind(self) -> _BoundNormal:
        """Run-time object."""
        return _BoundNormal(self.solve or solve_symmetric)


class _BoundNormal:
    """Keeps J and J'J, so that a rejected step does not form it again."""

    __slots__ = ("_A", "_J", "_solve")

    def __init__(self, solve: Callable[[Any, Any], Any]) -> None:
        self._solve = solve
        unknown: Any = None
        self._J = self._A = unknown

    def factor(self, J: Any) -> None:
        """Take a new J."""
        sparse = hasattr(J, "tocsr") and J.dtype.char in "fd"
        self._J = J if sparse else dense(J)
        A = self._J.T @ self._J
        self._A = A.toarray() if hasattr(A, "toarray") else A

    def column_norms(self) -> Any:
        """Norms of the columns of J."""
        return np.sqrt(np.diagonal(self._A))

    def projected_norm(self, r: Any) -> float:
        """|P r|, from g' (J'J)^+ g with g = J'r."""
        g = self._J.T @ r
        return math.sqrt(max(float(g @ np.linalg.lstsq(self._A, g, rcond=None)[0]), 0.0))

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s, and J s."""
        A = self._A.copy()
        A.reshape(-1)[:: A.shape[0] + 1] += lam if scale is None else lam * scale * scale
        s = -np.asarray(self._solve(A, self._J.T @ r)).astype(A.dtype, copy=False)
        return s, self._J @ s


def solve_symmetric(A: Any, b: Any) -> Any:
    """Solve A x = b for a symmetric A: by Cholesky if positive definite, else by Bunch-Kaufman.

    Parameters
    ----------
    A : array of shape (d, d)
        Only its upper triangle is read.
    b : array of shape (d,)

    Returns
    -------
    array of shape (d,)

    Raises
    ------
    numpy.linalg.LinAlgError
        When A is singular or not finite.
    """
    if not np.isfinite(A).all() or not np.isfinite(b).all():
        raise np.linalg.LinAlgError("the normal equations are not finite")
    _, x, info = lapack.dposv(A, b)
    if info != 0:
        _, _, x, info = lapack.dsysv(A, b)
    if info != 0:
        raise np.linalg.LinAlgError("the normal equations are singular: raise the damping")
    return x
