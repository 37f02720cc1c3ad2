"""Symmetric linear systems on a tangent space, as objectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import Objective
from .evaluation import Counts, Evaluation


class LinearSystemEvaluation(Evaluation):
    """A linear system at one vector X; each product with A counts as ``"operator"``.

    Attributes
    ----------
    point : array
        X.
    residual : array
        A X + b.
    residual_norm : float
    cost : float
        ``1/2 |A X + b|^2``.
    gradient : array
        Its gradient A (A X + b).
    gradient_norm : float
    """

    __slots__ = ("_cost", "_gradient", "_gradient_norm", "_residual", "_residual_norm")
    quantities: ClassVar[tuple[str, ...]] = ("cost", "gradient", "gradient_norm", "residual", "residual_norm")
    functions: LinearSystemFunctions
    if TYPE_CHECKING:
        _cost: Any
        _gradient: Any
        _gradient_norm: Any
        _residual_norm: Any

    def __init__(self, functions: LinearSystemFunctions, point: Any, counts: Counts, residual: Any = None) -> None:
        super().__init__(functions, point, counts)
        self._residual = residual

    @property
    def residual(self) -> Any:
        """A X + b."""
        if self._residual is None:
            b = self.functions.b
            self._residual = self.apply(self.point) + b if self.point.any() else b
        return self._residual

    @property
    def residual_norm(self) -> float:
        """|A X + b|."""
        value = self._residual_norm
        if value is None:
            value = self._residual_norm = float(self.functions.manifold.norm(self.point, self.residual))
        return value

    @property
    def cost(self) -> float:
        """Half the squared norm of the residual."""
        value = self._cost
        if value is None:
            value = self._cost = 0.5 * self.residual_norm**2
        return value

    @property
    def gradient(self) -> Any:
        """A (A X + b): A is symmetric."""
        if self._gradient is None:
            self._gradient = self.apply(self.residual)
        return self._gradient

    @property
    def gradient_norm(self) -> float:
        """Its norm."""
        value = self._gradient_norm
        if value is None:
            value = self._gradient_norm = float(self.functions.manifold.norm(self.point, self.gradient))
        return value

    def apply(self, Y: Any) -> Any:
        """A Y."""
        self.counts["operator"] += 1
        return self.functions.operator(Y)


class LinearSystemFunctions:
    """Run-time side of a `SymmetricLinearSystemObjective`."""

    __slots__ = ("b", "manifold", "operator")

    def __init__(self, manifold: Any, operator: Callable[[Any], Any], b: Any) -> None:
        self.manifold, self.operator, self.b = manifold, operator, b

    def evaluation(self, X: Any, counts: Counts) -> LinearSystemEvaluation:
        """Lazy evaluation at X."""
        return LinearSystemEvaluation(self, X, counts)


@dataclass(frozen=True, eq=False)
class SymmetricLinearSystemObjective(Objective):
    """``1/2 |A X + b|^2`` over a tangent space (or a Euclidean space), zero where A X = -b.

    Parameters
    ----------
    operator : callable or array
        ``X -> A X``, symmetric; or the matrix of A, ``(dim, dim)``, in the default orthonormal coordinates.
    b : array
        A tangent vector.

    Raises
    ------
    ValueError
        When an array has the wrong shape.
    """

    operator: Any
    b: Any

    def bind(self, M: Any, X: Any, counts: Counts) -> LinearSystemFunctions:
        """Functions on the space M."""
        b = np.asarray(self.b)
        if b.shape != tuple(M.vector_shape):
            raise ValueError(f"`b` must be a vector of {M}, of shape {tuple(M.vector_shape)}; got {b.shape}.")
        b = b if b.dtype.kind in "fc" else b.astype(float)
        if callable(self.operator):
            return LinearSystemFunctions(M, self.operator, b)
        A = np.asarray(self.operator)
        if A.shape != (M.dim, M.dim):
            raise ValueError(f"`operator` must be callable or a matrix of shape {(M.dim, M.dim)}; got {A.shape}.")
        return LinearSystemFunctions(M, lambda Y: M.get_vector(X, A @ M.get_coordinates(X, Y)), b)
