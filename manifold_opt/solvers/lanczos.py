r"""Lanczos: quadratic and cubic models minimized over growing Krylov spaces.

From the gradient g of the model the Lanczos recurrence builds an orthonormal basis Q of span(g, H g, ..., H^(k-1) g) in
which the Hessian is tridiagonal, H Q = Q T + beta q e_k'. The model restricted to X = Q y is

    <Q'g, y> + 1/2 <y, T y>   over |y| <= Delta,      or with sigma/3 |y|^3 added,

a problem of dimension k that is solved exactly. Its gradient on the whole tangent space follows without another
product. Unlike truncated conjugate gradients this does not stop where the boundary is reached first.

The basis depends neither on Delta nor on sigma: another one at the same point costs no Hessian product.

References
----------
.. [1] N. I. M. Gould, S. Lucidi, M. Roma, Ph. L. Toint, Solving the trust-region subproblem using the Lanczos method,
   SIAM J. Optim. 9 (1999), 504-525.
.. [2] N. Agarwal, N. Boumal, B. Bullins, C. Cartis, Adaptive regularization with cubics on manifolds, Math. Program.
   188 (2021), 85-134, appendix B.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..core.status import Status
from ..linalg.secular import minimize_cubic, minimize_in_ball
from ..objectives.models import ModelEvaluation
from ..stopping.models import StopAfterDimension, StopWhenResidualIsReducedByFactorOrPower
from .model_solver import ModelSolverState
from .truncated_conjugate_gradient_descent import LEAST_REDUCTION

# up to this many basis vectors the small problem is solved for each, beyond that for each further 1/16 of them
_ALWAYS = 32


class LanczosState(ModelSolverState):
    """Subsolver of `trust_regions` and `adaptive_regularization_with_cubics`.

    Parameters
    ----------
    X0 : array, optional
        Mixed into the start of the basis, which is the gradient otherwise: for ``randomize`` of the outer solver.
    stopping : StoppingCriterion, optional
        Default ``StopAfterDimension() | StopWhenResidualIsReducedByFactorOrPower(0.1, 1.0)``.

    Attributes
    ----------
    residual_norm, first_residual_norm : float
        Norm of the gradient of the model (at the boundary of a trust region, of its Lagrangian), now and at zero.
    multiplier : float
        lam, with (H + lam) X = -g on the Krylov space.
    """

    transient: ClassVar[tuple[str, ...]] = ("model", "_stops_on", "_basis")
    solves: ClassVar[tuple[str, ...]] = ("trust region", "cubic")

    @classmethod
    def default_stopping(cls) -> Any:
        """A residual small enough, or dim basis vectors."""
        return StopAfterDimension() | StopWhenResidualIsReducedByFactorOrPower(0.1, 1.0, LEAST_REDUCTION)

    def _clear(self) -> None:
        super()._clear()
        self.residual_norm = self.first_residual_norm = math.nan
        self.residual_floor = self.multiplier = 0.0
        self._basis: Any = None

    def start(self, problem: Any) -> None:
        """First basis vector."""
        M, e, X0 = problem.manifold, self.evaluation, self._start
        zero = M.zero_vector(X0)
        e.point, e._image, e._cost = zero, zero, 0.0
        g = e.functions.slope
        self.trust_region_radius = getattr(self.model, "radius", math.inf)
        self.first_residual_norm = self.residual_norm = norm = self.model.evaluation.gradient_norm
        q = g / norm if norm > 0.0 else zero
        if X0.any():
            q = q + (1e-3 / M.norm(zero, X0)) * X0
        length = M.norm(zero, q)
        self._basis = _Basis(M, g, q / length if length > 0.0 else q)

    def again(self, problem: Any, before: Any) -> None:
        """Go through the basis again with another radius or weight: it may need fewer vectors, or more."""
        basis = self._basis
        self._afresh(problem)
        basis.k, self._basis = 0, basis

    def advance(self, problem: Any) -> None:
        """One more basis vector, and the minimizer over their span."""
        basis = self._basis
        if not basis.extend(self.evaluation):
            self.not_finite()
            return
        k = basis.k
        if k <= _ALWAYS or k % max(1, k // 16) == 0 or k >= problem.manifold.dim or basis.exhausted:
            self._minimize()
        if basis.exhausted and self.residual_norm > 0.0:
            self.fail(Status.CONVERGED, f"The Krylov space is exhausted after {k} vectors.")

    def _minimize(self) -> None:
        basis, model, functions = self._basis, self.model, self.evaluation.functions
        w, V = basis.eigen()
        c = V.T @ basis.c
        sigma = functions.sigma
        x, lam = minimize_cubic(w, c, sigma) if sigma else minimize_in_ball(w, c, model.radius)
        y = V @ x
        self.multiplier = lam
        self.model_norm = length = float(np.linalg.norm(y))
        self.boundary_reached = not sigma and lam > 0.0
        self.negative_curvature = bool(w[0] < -1e-14 * max(abs(float(w[0])), abs(float(w[-1]))))
        cost = float(c @ x + 0.5 * (w * x) @ x + sigma / 3.0 * length**3)
        # On the space the equations hold; what is left points along the next basis vector.
        self.residual_norm = abs(basis.beta * float(y[-1]))
        decrease = sigma / 3.0 * length**3 - cost
        self.evaluation = e = _KrylovEvaluation(functions, basis, y, cost, decrease, self.evaluation.counts)
        if not self.boundary_reached:
            e._gradient_norm = self.residual_norm


class _KrylovEvaluation(ModelEvaluation):
    """A model at X = Q y, formed when it is asked for."""

    __slots__ = ("_basis", "_decrease", "_point", "_y")

    def __init__(self, functions: Any, basis: _Basis, y: Any, cost: float, decrease: float, counts: Any) -> None:
        self._point: Any = None
        super().__init__(functions, None, counts, cost=cost)
        self._basis, self._y, self._decrease = basis, y, decrease

    @property
    def point(self) -> Any:
        """X."""
        if self._point is None:
            self._point = self._basis.combination(self._y)
        return self._point

    @point.setter
    def point(self, X: Any) -> None:
        self._point = X

    @property
    def decrease(self) -> float:
        """See `ModelEvaluation`."""
        return self._decrease

    @property
    def image(self) -> Any:
        """H X, from the recurrence."""
        if self._image is None:
            self._image = self._basis.combination(self._basis.apply(self._y))
        return self._image


class _Basis:
    """Orthonormal vectors Q on the leading axis, and the tridiagonal matrix of H on their span."""

    def __init__(self, M: Any, g: Any, q: Any) -> None:
        self.M, self.g = M, g
        self.Q = np.empty((9, *q.shape), dtype=q.dtype)
        self.Q[0] = q
        self.k = self.made = 0
        self.alphas: list[float] = []
        self.betas: list[float] = []
        self.coefficients: list[float] = []
        self.complete = False

    @property
    def exhausted(self) -> bool:
        """Whether the vectors in use span an invariant space."""
        return self.complete and self.k == self.made

    @property
    def beta(self) -> float:
        """Entry that couples the last vector in use with the next."""
        return 0.0 if self.exhausted else self.betas[self.k - 1]

    @property
    def c(self) -> Any:
        """Q'g."""
        return np.array(self.coefficients[: self.k])

    def extend(self, e: Any) -> bool:
        """Take one more vector into use and make the next one; False if the product with H is not finite."""
        if self.k < self.made:
            self.k += 1
            return True
        M, k, Q, zero = self.M, self.k, self.Q, self.g
        q = Q[k].copy()
        v = e.apply(q)
        alpha = M.inner(zero, q, v)
        if not alpha - alpha == 0.0:
            return False
        self.coefficients.append(float(M.inner(zero, q, self.g)))
        self.alphas.append(float(alpha))
        size = M.norm(zero, v)
        # Twice is enough: orthogonal to rounding against all vectors, which keeps T true.
        for _ in range(2):
            v = v - _combined(self._inner(v), Q[: k + 1])
        beta = float(M.norm(zero, v))
        self.k = self.made = k + 1
        self.betas.append(beta)
        self.complete = beta <= 1e-14 * size or self.k >= M.dim
        if k + 2 > len(Q):
            self.Q = np.concatenate([Q, np.empty_like(Q)])
        self.Q[k + 1] = v / beta if beta > 0.0 else v
        return True

    def _inner(self, v: Any) -> Any:
        # the inner product of the tangent space is that at its base point
        return self.M.manifold.inner(self.M.p, self.Q[: self.k + 1], v)

    def eigen(self) -> tuple[Any, Any]:
        """Eigenvalues and eigenvectors of T."""
        k = self.k
        if k == 1:
            return np.array(self.alphas[:1]), np.ones((1, 1))
        if k <= _ALWAYS:
            T = np.diag(self.alphas[:k])
            T[range(1, k), range(k - 1)] = self.betas[: k - 1]
            return np.linalg.eigh(T)
        from scipy.linalg import eigh_tridiagonal

        return eigh_tridiagonal(self.alphas[:k], self.betas[: k - 1])

    def apply(self, y: Any) -> Any:
        """Coordinates of H Q y."""
        k = len(y)
        beta = np.array(self.betas[:k])
        if self.complete and k == self.made:
            beta[-1] = 0.0
        z = np.zeros(k + 1)
        z[:k] = np.array(self.alphas[:k]) * y
        z[1:] += beta * y
        z[: k - 1] += beta[:-1] * y[1:]
        return z

    def combination(self, y: Any) -> Any:
        """Q y."""
        return _combined(y, self.Q[: len(y)])


def _combined(y: Any, Q: Any) -> Any:
    return np.tensordot(np.asarray(y, dtype=Q.real.dtype), Q, axes=1)
