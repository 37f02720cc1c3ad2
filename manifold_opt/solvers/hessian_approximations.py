r"""What may stand for the Hessian in a quadratic model: differences of the gradient, updates from the steps, or J'J.

With s the step and y the change of the gradient, both in the tangent space of the new point, the updates are

    B <- B + v v' / <v, s>,   v = y - B s                         symmetric rank one (SR1),
    B <- B - B s (B s)' / <s, B s> + y y' / <y, s>                BFGS,

both with B s = y afterwards. SR1 may become indefinite, as the Hessian may, and suits trust regions. BFGS stays
positive definite; where <y, s> is too small, y is mixed with B s [2].

B is a matrix in orthonormal coordinates. The coordinates at the old point are carried to the new one by the vector
transport of the whole basis, in one call.

References
----------
.. [1] J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed., Springer 2006, sections 6.1 and 6.2.
.. [2] M. J. D. Powell, Math. Program. 14 (1978), 224-248 (procedure 18.2 in [1]).
.. [3] N. Boumal, Riemannian trust regions with finite-difference Hessian approximations are globally convergent,
   GSI 2015.
.. [4] W. Huang, P.-A. Absil, K. A. Gallivan, A Riemannian symmetric rank-one trust-region method, Math. Program. 150
   (2015), 179-216.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class HessianApproximation:
    """Base of the rules; a frozen value that a solver binds to its run."""

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundHessian:
        """Run-time object; the memory of an equal rule is kept."""
        raise NotImplementedError


class BoundHessian:
    """A rule at work in one run."""

    __slots__ = ("rule",)

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def operator(self, problem: Any, e: Any) -> Callable[[Any], Any]:
        """Make X -> B X at the point of the evaluation ``e``."""
        raise NotImplementedError

    def update(self, problem: Any, transport: Callable[..., Any], e: Any, X: Any, new: Any) -> None:
        """Learn from the step X that led from ``e`` to ``new``."""


@dataclass(frozen=True)
class FiniteDifferenceHessian(HessianApproximation):
    """Differences of the gradient: one gradient per product.

    Parameters
    ----------
    step : float
        Length of the step along the vector. Default 2^-14 (MATLAB Manopt and Manopt.jl): the error of a difference is
        about the step, and that of rounding below 1e-11 of the gradient.

    Raises
    ------
    ValueError
        Unless the step is positive.
    """

    step: float = 2.0**-14

    def __post_init__(self) -> None:
        if not 0.0 < self.step < float("inf"):
            raise ValueError(f"`step` must be positive; got {self.step!r}.")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundHessian:
        """See `HessianApproximation.bind`."""
        return _Differences(self)


class _Differences(BoundHessian):
    __slots__ = ()

    def operator(self, problem: Any, e: Any) -> Callable[[Any], Any]:
        M, p, gradient = problem.manifold, e.point, e.gradient
        retract = M.get_retraction(None)
        # along the geodesic: a transport of another connection would give a Hessian that is not symmetric
        transport = M.parallel_transport_to if M.has("parallel_transport_to") else M.get_transport(None)

        def apply(X: Any) -> Any:
            length = M.norm(p, X)
            if not length > 0.0:
                return M.zero_vector(p)
            h = self.rule.step / length
            q = retract(p, X, h)
            Y = problem.evaluate(q, e.counts).gradient
            return M.tangentialize(p, (transport(q, Y, p) - gradient) / h)

        return apply


@dataclass(frozen=True)
class GaussNewtonHessian(HessianApproximation):
    """J'J of a least-squares objective, J the Jacobian corrected for the loss: two products with J per vector.

    Good where the residuals are small or nearly linear. For the objectives of `levenberg_marquardt` only.
    """

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundHessian:
        """See `HessianApproximation.bind`."""
        return _GaussNewton(self)


class _GaussNewton(BoundHessian):
    __slots__ = ()

    def operator(self, problem: Any, e: Any) -> Callable[[Any], Any]:
        J = getattr(e, "model_jacobian", None)
        if J is None:
            raise TypeError("`hessian_approximation` GaussNewtonHessian() needs a least-squares objective.")
        M, p = problem.manifold, e.point
        return lambda X: M.get_vector(p, J.T @ (J @ M.get_coordinates(p, X)))


class _Updated(BoundHessian):
    """B as a symmetric matrix in the default orthonormal coordinates; None stands for the identity, unscaled."""

    __slots__ = ("matrix",)

    def __init__(self, rule: Any) -> None:
        super().__init__(rule)
        self.matrix: Any = None

    def operator(self, problem: Any, e: Any) -> Callable[[Any], Any]:
        M, p, B = problem.manifold, e.point, self.matrix
        if B is None:
            return lambda X: X
        return lambda X: M.get_vector(p, B @ M.get_coordinates(p, X))

    def update(self, problem: Any, transport: Callable[..., Any], e: Any, X: Any, new: Any) -> None:
        M, p, q = problem.manifold, e.point, new.point
        E = transport(p, M.get_basis(p), q)
        C = M.get_coordinates(q, E)  # row i: the i-th vector of the old basis in the new one
        s = M.get_coordinates(p, X) @ C
        y = M.get_coordinates(q, new.gradient) - M.get_coordinates(p, e.gradient) @ C
        sy = float(s @ y)
        if self.matrix is None:
            scale = float(y @ y) / sy if sy > 0.0 else abs(sy) / float(s @ s)
            B = (scale if scale > 0.0 else 1.0) * np.eye(len(s), dtype=s.dtype)
        else:
            B = C.T @ self.matrix @ C
        B = self.rule.updated(B, s, y)
        self.matrix = 0.5 * (B + B.T)


@dataclass(frozen=True)
class _Update(HessianApproximation):
    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundHessian:
        """See `HessianApproximation.bind`."""
        return _Updated(self) if previous is None else previous

    def updated(self, B: Any, s: Any, y: Any) -> Any:
        """B after the update with the pair s, y."""
        raise NotImplementedError


@dataclass(frozen=True)
class SymmetricRankOneHessian(_Update):
    """The symmetric rank-one update.

    Parameters
    ----------
    nu : float
        An update is skipped where ``|<v, s>| < nu |v| |s|``. Default 1e-8.
    """

    nu: float = 1e-8

    def updated(self, B: Any, s: Any, y: Any) -> Any:
        """See `_Update.updated`."""
        v = y - B @ s
        vs = float(v @ s)
        if vs == 0.0 or abs(vs) < self.nu * float(np.linalg.norm(v) * np.linalg.norm(s)):
            return B
        return B + np.outer(v, v) / vs


@dataclass(frozen=True)
class BFGSHessian(_Update):
    """The BFGS update, damped after Powell so that the matrix stays positive definite.

    Parameters
    ----------
    damping : float
        ``<y, s>`` is kept at least this multiple of ``<s, B s>``. Default 0.2.
    """

    damping: float = 0.2

    def updated(self, B: Any, s: Any, y: Any) -> Any:
        """See `_Update.updated`."""
        Bs = B @ s
        sBs, sy = float(s @ Bs), float(s @ y)
        if not sBs > 0.0:
            return B
        if sy < self.damping * sBs:
            theta = (1.0 - self.damping) * sBs / (sBs - sy)
            y = theta * y + (1.0 - theta) * Bs
            sy = float(s @ y)
        return B - np.outer(Bs, Bs) / sBs + np.outer(y, y) / sy


def check_has_hessian(e: Any, solver: str) -> None:
    """Raise TypeError where the objective knows no Hessian, naming a way out."""
    if not hasattr(type(e), "hessian_operator"):
        raise TypeError(
            f"{solver} needs products with the Hessian, which {type(e).__name__} does not have: give a cost, or, to "
            "trust_regions and adaptive_regularization_with_cubics, hessian_approximation=GaussNewtonHessian()."
        )
