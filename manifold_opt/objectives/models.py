r"""Models of a cost on the tangent space at a point: what the subsolvers of second-order methods minimize.

With g the gradient and H the Hessian (or what stands for it) at p, a model of ``f(retract(p, X)) - f(p)`` is

    m(X) = <g, X> + 1/2 <X, H X>                      for trust regions, over |X| <= radius,
    m(X) = <g, X> + 1/2 <X, H X> + sigma/3 |X|^3      for adaptive regularization with cubics.

The constant f(p) is left out: next to it the last digits of a small decrease would be lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .base import Objective
from .evaluation import Counts, Evaluation


class ModelEvaluation(Evaluation):
    """A model at one tangent vector X; all of it costs one Hessian product, counted as ``"hessian"``.

    Attributes
    ----------
    point : array
        X.
    image : array
        H X.
    cost : float
        m(X), the predicted change of f: negative where the model promises a decrease.
    gradient : array
    gradient_norm : float
    """

    __slots__ = ("_cost", "_gradient", "_gradient_norm", "_image")
    quantities: ClassVar[tuple[str, ...]] = ("cost", "gradient", "gradient_norm", "image")
    functions: ModelFunctions
    if TYPE_CHECKING:
        _gradient_norm: Any

    def __init__(
        self, functions: ModelFunctions, point: Any, counts: Counts, gradient: Any = None, cost: float | None = None
    ) -> None:
        self.functions, self.point, self.counts = functions, point, counts
        self._gradient, self._cost = gradient, cost
        self._image = self._gradient_norm = None

    @property
    def image(self) -> Any:
        """H X."""
        if self._image is None:
            functions = self.functions
            known = self._gradient is not None and not functions.sigma
            self._image = self._gradient - functions.slope if known else self.apply(self.point)
        return self._image

    @property
    def cost(self) -> float:
        """m(X)."""
        value = self._cost
        if value is None:
            value = self._cost = self.functions.cost(self.point, self.image)
        return value

    @property
    def gradient(self) -> Any:
        """Gradient of the model at X."""
        if self._gradient is None:
            self._gradient = self.functions.gradient(self.point, self.image)
        return self._gradient

    @property
    def gradient_norm(self) -> float:
        """Its norm."""
        if self._gradient_norm is None:
            self._gradient_norm = self.functions.manifold.norm(self.point, self.gradient)
        return self._gradient_norm

    @property
    def decrease(self) -> float:
        """Decrease that the quadratic part of the model predicts: that of f, without the regularization."""
        sigma = self.functions.sigma
        if not sigma:
            return -self.cost
        return sigma / 3.0 * self.functions.manifold.norm(self.point, self.point) ** 3 - self.cost

    def apply(self, Y: Any) -> Any:
        """H Y, one Hessian product."""
        self.counts["hessian"] += 1
        return self.functions.operator(Y)

    def hessian(self, Y: Any) -> Any:
        """Hessian of the model at X applied to Y."""
        return self.functions.hessian(self.point, Y, self.apply(Y))


class ModelFunctions:
    """Run-time side of a model.

    Attributes
    ----------
    manifold : TangentSpace
    slope : array
        g, the gradient of the model at zero.
    operator : callable
        Y -> H Y.
    sigma : float
        Weight of the cubic term.
    """

    __slots__ = ("manifold", "operator", "sigma", "slope")

    def __init__(self, manifold: Any, slope: Any, operator: Callable[[Any], Any], sigma: float = 0.0) -> None:
        self.manifold, self.slope, self.operator, self.sigma = manifold, slope, operator, sigma

    def evaluation(self, X: Any, counts: Counts) -> ModelEvaluation:
        """Lazy evaluation at X."""
        return ModelEvaluation(self, X, counts)

    def cost(self, X: Any, HX: Any) -> float:
        """m(X), with H X given."""
        M = self.manifold
        quadratic = M.inner(X, X, self.slope + 0.5 * HX)
        return quadratic + self.sigma / 3.0 * M.norm(X, X) ** 3 if self.sigma else quadratic

    def gradient(self, X: Any, HX: Any) -> Any:
        """Gradient of m at X, with H X given."""
        gradient = self.slope + HX
        return gradient + self.sigma * self.manifold.norm(X, X) * X if self.sigma else gradient

    def hessian(self, X: Any, Y: Any, HY: Any) -> Any:
        """Hessian of m at X applied to Y, with H Y given."""
        if not self.sigma:
            return HY
        M = self.manifold
        length = M.norm(X, X)
        cubic = length * Y + (M.inner(X, X, Y) / length) * X if length > 0.0 else 0.0 * Y
        return HY + self.sigma * cubic


@dataclass(frozen=True, eq=False)
class TrustRegionModelObjective(Objective):
    """The quadratic model of a cost at a point, to be minimized over a ball of the tangent space.

    Parameters
    ----------
    evaluation : Evaluation
        Of the cost, at p; the problem lives on ``TangentSpace(M, p)``.
    radius : float
        Of the ball, in the norm of the preconditioner where there is one.
    hessian : callable, optional
        X -> H X; default the Hessian of the cost.
    preconditioner : callable, optional
        X -> an approximation of the inverse of H applied to X, symmetric and positive definite.
    """

    evaluation: Any
    radius: float = math.inf
    hessian: Any = field(default=None, kw_only=True)
    preconditioner: Any = field(default=None, kw_only=True)

    def bind(self, M: Any, X: Any, counts: Counts) -> ModelFunctions:
        """Functions on the tangent space M."""
        e = self.evaluation
        return ModelFunctions(M, e.gradient, e.hessian_operator if self.hessian is None else self.hessian)


@dataclass(frozen=True, eq=False)
class CubicModelObjective(Objective):
    """The quadratic model of a cost at a point plus ``sigma/3 |X|^3``, to be minimized over the tangent space.

    Parameters
    ----------
    evaluation : Evaluation
        Of the cost, at p; the problem lives on ``TangentSpace(M, p)``.
    sigma : float
        Weight of the cubic term, > 0.
    hessian : callable, optional
        X -> H X; default the Hessian of the cost.
    """

    evaluation: Any
    sigma: float
    hessian: Any = field(default=None, kw_only=True)

    def bind(self, M: Any, X: Any, counts: Counts) -> ModelFunctions:
        """Functions on the tangent space M."""
        e = self.evaluation
        return ModelFunctions(M, e.gradient, e.hessian_operator if self.hessian is None else self.hessian, self.sigma)
