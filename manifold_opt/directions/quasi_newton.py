r"""Quasi-Newton updates of a matrix in coordinates, from a step s and the change y of the gradient.

An update of the Hessian approximation B satisfies B+ s = y, one of the inverse H satisfies H+ y = s; the two families
are each other's mirror image under s <-> y. BFGS and DFP stay positive definite where <s, y> > 0; SR1 need not be.

References
----------
.. [1] J. Nocedal and S. Wright, Numerical Optimization, 2nd edition, Springer 2006, chapter 6.
.. [2] W. Huang, K. Gallivan, P.-A. Absil, A Broyden class of quasi-Newton methods for Riemannian optimization, SIAM J.
   Optim. 25 (2015), 1660-1685.
.. [3] W. C. Davidon, Optimally conditioned optimization algorithms without line searches, Math. Program. 9 (1975),
   1-30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


class QuasiNewtonUpdate:
    """Base of all updates: frozen values without memory."""

    __slots__ = ()
    inverse: ClassVar[bool] = True
    """Whether the matrix approximates the inverse of the Hessian."""
    needs_curvature: ClassVar[bool] = True
    """Whether <s, y> must be positive."""

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """Matrix after the update; A itself where the update is not defined.

        Parameters
        ----------
        A : array
            Symmetric matrix.
        s, y : array
            Coordinates of the step and of the change of the gradient.
        """
        raise NotImplementedError


def rank_two(A: Any, u: Any, v: Any) -> Any:
    """The least change of A that takes v to u and stays positive definite: direct BFGS with (u, v) = (y, s)."""
    Av = A.dot(v)
    B = A + u[:, None] * (u / u.dot(v))
    B -= Av[:, None] * (Av / v.dot(Av))
    return B


def rank_two_dual(A: Any, u: Any, v: Any) -> Any:
    """The same for the inverse: (I - u v'/v'u) A (I - v u'/v'u) + u u'/v'u: inverse BFGS with (u, v) = (s, y)."""
    c = u.dot(v)
    Av = A.dot(v)
    # both outer products with u in one: A - u w' - w u'
    w = Av / c
    w -= (0.5 * (1.0 + v.dot(Av) / c) / c) * u
    R = u[:, None] * w
    B = A - R
    B -= R.T
    return B


def davidon(A: Any, u: Any, v: Any) -> float:
    """Davidon's weight of `rank_two_dual(A, u, v)` beside `rank_two(A, u, v)`: [3], [1] section 6.3.

    Where the symmetric rank-one update is positive definite, it is that.
    """
    c, b = float(u @ v), float(v @ A @ v)
    h = float(u @ np.linalg.solve(A, u))
    if c > 2.0 * b * h / (b + h):
        return c / (c - b)
    gap = b * h - c * c
    return c * (h - c) / gap if gap > 0.0 else 0.0  # u along A v: all updates are the same


@dataclass(frozen=True)
class InverseBFGS(QuasiNewtonUpdate):
    """The BFGS update of the inverse Hessian; the only one with a limited-memory form."""

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        return rank_two_dual(A, s, y)


@dataclass(frozen=True)
class BFGS(QuasiNewtonUpdate):
    """The BFGS update of the Hessian."""

    inverse: ClassVar[bool] = False

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        return rank_two(A, y, s)


@dataclass(frozen=True)
class InverseDFP(QuasiNewtonUpdate):
    """The update of Davidon, Fletcher and Powell of the inverse Hessian."""

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        return rank_two(A, s, y)


@dataclass(frozen=True)
class DFP(QuasiNewtonUpdate):
    """The update of Davidon, Fletcher and Powell of the Hessian."""

    inverse: ClassVar[bool] = False

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        return rank_two_dual(A, y, s)


@dataclass(frozen=True)
class InverseBroyden(QuasiNewtonUpdate):
    """Broyden's class for the inverse Hessian: (1 - phi) inverse BFGS + phi inverse DFP.

    Parameters
    ----------
    phi : float or "davidon"
        In [0, 1], so that the matrix stays positive definite; or Davidon's, anew in each update, with which the
        matrix before and after differ least: the condition of one relative to the other is smallest.
    """

    phi: float | str = 0.5

    def __post_init__(self) -> None:
        _check_phi(self.phi)

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        phi = 1.0 - davidon(A, s, y) if isinstance(self.phi, str) else self.phi
        return (1.0 - phi) * rank_two_dual(A, s, y) + phi * rank_two(A, s, y)


@dataclass(frozen=True)
class Broyden(QuasiNewtonUpdate):
    """Broyden's class for the Hessian: (1 - phi) BFGS + phi DFP.

    Parameters
    ----------
    phi : float or "davidon"
        In [0, 1], so that the matrix stays positive definite; or Davidon's, anew in each update, with which the
        matrix before and after differ least: the condition of one relative to the other is smallest.
    """

    phi: float | str = 0.5
    inverse: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_phi(self.phi)

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        phi = davidon(A, y, s) if isinstance(self.phi, str) else self.phi
        return (1.0 - phi) * rank_two(A, y, s) + phi * rank_two_dual(A, y, s)


@dataclass(frozen=True)
class InverseSR1(QuasiNewtonUpdate):
    """The symmetric rank-one update of the inverse Hessian.

    Parameters
    ----------
    r : float
        The update is skipped where |<s - H y, y>| < r |s - H y| |y| (Nocedal and Wright (6.26)).
    """

    r: float = 1e-8
    needs_curvature: ClassVar[bool] = False

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        return _rank_one(A, s, y, self.r)


@dataclass(frozen=True)
class SR1(QuasiNewtonUpdate):
    """The symmetric rank-one update of the Hessian.

    Parameters
    ----------
    r : float
        The update is skipped where |<y - B s, s>| < r |y - B s| |s| (Nocedal and Wright (6.26)).
    """

    r: float = 1e-8
    inverse: ClassVar[bool] = False
    needs_curvature: ClassVar[bool] = False

    def update(self, A: Any, s: Any, y: Any) -> Any:
        """See `QuasiNewtonUpdate.update`."""
        return _rank_one(A, y, s, self.r)


def _rank_one(A: Any, u: Any, v: Any, r: float) -> Any:
    w = u - A @ v
    c = w @ v
    if not abs(c) > r * np.sqrt((w @ w) * (v @ v)):
        return A
    return A + np.outer(w, w) / c


def _check_phi(phi: float | str) -> None:
    if not (phi == "davidon" if isinstance(phi, str) else 0.0 <= phi <= 1.0):
        raise ValueError(f"`phi` must be between 0 (BFGS) and 1 (DFP), or 'davidon'; got {phi!r}.")


def check_update(value: Any) -> None:
    """Raise TypeError unless ``value`` is an update."""
    if not isinstance(value, QuasiNewtonUpdate):
        raise TypeError(f"`update` must be a quasi-Newton update such as InverseBFGS(); got {value!r}.")
