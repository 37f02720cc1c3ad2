r"""A real cost f on a manifold, with what derivatives there are.

The user's conventions (allocating or in place, fused, Riemannian or Euclidean, given or to be differentiated) are
removed once, in `CostObjective.bind`; what remains at run time is `CostFunctions`: plain callables from points to
numbers and stored tangent vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .base import OBJECTIVE_TYPES, Objective, check_choice
from .evaluation import Counts, Evaluation
from .user_functions import FreshArrays, as_float, calling_convention, handing_out


class CostEvaluation(Evaluation):
    """Cost, Riemannian gradient and Hessian products at one point.

    Attributes
    ----------
    point : array
    cost : float
    gradient : array
        Riemannian gradient, a stored tangent vector.
    gradient_norm : float
    """

    __slots__ = ("_cost", "_euclidean_gradient", "_gradient", "_gradient_norm", "_hessian_operator")
    quantities: ClassVar[tuple[str, ...]] = (
        "cost",
        "gradient",
        "gradient_norm",
        "euclidean_gradient",
        "hessian_operator",
    )
    functions: CostFunctions

    def __init__(self, functions: CostFunctions, point: Any, counts: Counts) -> None:
        self.functions = functions
        self.point = point
        self.counts = counts
        unknown: Any = None
        self._cost = self._gradient = self._gradient_norm = unknown
        self._euclidean_gradient = self._hessian_operator = unknown

    @property
    def cost(self) -> float:
        """f(p)."""
        if self._cost is None:
            self.functions.fill_cost(self)
        return self._cost

    @property
    def gradient(self) -> Any:
        """Riemannian gradient of f at p."""
        if self._gradient is None:
            self.functions.fill_gradient(self)
        return self._gradient

    @property
    def gradient_norm(self) -> float:
        """Riemannian norm of the gradient."""
        value = self._gradient_norm
        if value is None:
            value = self._gradient_norm = self.functions.manifold.norm(self.point, self.gradient)
        return value

    @property
    def hessian_operator(self) -> Callable[[Any], Any]:
        """Riemannian Hessian at p as a function of a tangent vector; its tape is made once. Not counted."""
        if self._hessian_operator is None:
            self._hessian_operator = self.functions.hessian_operator(self)
        return self._hessian_operator

    def hessian(self, X: Any) -> Any:
        """Riemannian Hessian at p applied to the tangent vector X."""
        self.counts["hessian"] += 1
        return self.hessian_operator(X)


@dataclass(frozen=True)
class CostFunctions:
    """Run-time side of a `CostObjective` on one manifold.

    Attributes
    ----------
    manifold : Manifold
    cost : callable or None
        p -> float; None where the cost comes with the gradient only.
    gradient : callable
        p -> (cost or None, Riemannian gradient, Euclidean gradient or None).
    hessian_operator : callable
        evaluation -> (X -> Hessian applied to X).
    counted : tuple of (str, int)
        What one call of ``gradient`` counts.
    given_gradient, given_hessian : bool
        Whether the user supplied them, so that a suspicion about them is worth a check.
    """

    manifold: Any
    cost: Callable[[Any], float] | None
    gradient: Callable[[Any], tuple[float | None, Any, Any]]
    hessian_operator: Callable[[CostEvaluation], Callable[[Any], Any]]
    counted: tuple[tuple[str, int], ...] = (("gradient", 1),)
    given_gradient: bool = False
    preconditioner: Callable[[Any, Any], Any] | None = None

    def evaluation(self, p: Any, counts: Counts) -> CostEvaluation:
        """Lazy evaluation at p."""
        return CostEvaluation(self, p, counts)

    def fill_cost(self, e: CostEvaluation) -> None:
        """Compute the cost at ``e``."""
        if self.cost is None:
            self.fill_gradient(e)
        else:
            e.counts["cost"] += 1
            e._cost = self.cost(e.point)

    def fill_gradient(self, e: CostEvaluation) -> None:
        """Compute the gradient at ``e``, and keep the cost that comes with it where none is known."""
        for name, n in self.counted:
            e.counts[name] += n
        cost, e._gradient, e._euclidean_gradient = self.gradient(e.point)
        if e._cost is None and cost is not None:
            e._cost = cost

    def mapped(self, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> CostFunctions:
        """The same functions, each passed through ``wrap(name, function)``."""
        return replace(
            self,
            cost=self.cost and wrap("cost", self.cost),
            gradient=wrap("gradient", self.gradient),
            hessian_operator=wrap("hessian", self.hessian_operator),
        )

    def scaled(self, factor: float) -> CostFunctions:
        """Functions of ``factor * f``."""
        cost, gradient, operator = self.cost, self.gradient, self.hessian_operator

        def scaled_gradient(p: Any) -> tuple[float | None, Any, Any]:
            value, X, G = gradient(p)
            return None if value is None else factor * value, factor * X, None if G is None else factor * G

        def scaled_operator(e: CostEvaluation) -> Callable[[Any], Any]:
            inner = self.evaluation(e.point, e.counts)
            if e.known("gradient"):
                G = e._euclidean_gradient
                inner._gradient = e._gradient / factor
                inner._euclidean_gradient = None if G is None else G / factor
            apply = operator(inner)
            if inner.known("cost") and not e.known("cost"):
                e._cost = factor * inner.cost
            if inner.known("gradient") and not e.known("gradient"):
                G = inner._euclidean_gradient
                e._gradient, e._euclidean_gradient = factor * inner._gradient, None if G is None else factor * G
            return lambda X: factor * apply(X)

        return replace(
            self,
            cost=cost and (lambda p: factor * cost(p)),
            gradient=scaled_gradient,
            hessian_operator=scaled_operator,
        )


@dataclass(frozen=True)
class CostObjective(Objective):
    """A cost to be minimized over a manifold.

    Parameters
    ----------
    cost : callable, Fused
        ``f(p) -> float``, or ``Fused(f_and_gradient)`` returning ``(f(p), gradient)``.
    gradient : callable, InPlace, optional
        ``gradient(p)``. Default: by differentiation of ``cost``.
    hessian : callable, InPlace, optional
        ``hessian(p, X)``, the Hessian applied to X. Default: by differentiation.
    preconditioner : callable, InPlace, optional
        ``preconditioner(p, X)``, an approximation of the inverse Hessian applied to X.
    objective_type : {"riemannian", "euclidean"}
        What a given gradient and Hessian are. Euclidean ones are arrays in the embedding (the derivatives of f as a
        function of the embedded point) and are converted; the Hessian then receives the embedded X.
    autodiff : str
        Where a missing derivative comes from: ``"auto"``, ``"autograd"``, ``"jax"``, ``"torch"``,
        ``"finite-differences"`` or ``"complex-step"``.

    Raises
    ------
    TypeError
        When something that must be a function is not.
    ValueError
        On an unknown ``objective_type`` or a gradient given twice.
    """

    cost: Any
    gradient: Any = None
    hessian: Any = None
    _: KW_ONLY
    preconditioner: Any = None
    objective_type: str = "riemannian"
    autodiff: str = "auto"

    def __post_init__(self) -> None:
        cost, fused, inplace = calling_convention(self.cost, "f")
        if cost is None:
            raise TypeError("`f`, the cost, is missing: give a function of a point.")
        calling_convention(self.gradient, "gradient")
        calling_convention(self.hessian, "hessian")
        calling_convention(self.preconditioner, "preconditioner")
        check_choice("objective_type", self.objective_type, OBJECTIVE_TYPES)
        if fused and self.gradient is not None:
            raise ValueError("`f` is Fused and brings its gradient: leave out `gradient=`.")
        if inplace and not fused:
            raise ValueError("`f` returns a number, so InPlace makes sense for it only inside Fused.")

    def bind(self, M: Any, p: Any, counts: Counts) -> CostFunctions:
        """Functions on M, their derivatives resolved at p."""
        return _Binding(self, M, p, counts).functions()


class _Binding:
    """Resolves the conventions of one `CostObjective` at the first point."""

    def __init__(self, objective: CostObjective, M: Any, p: Any, counts: Counts) -> None:
        self.objective, self.M, self.p, self.counts = objective, M, p, counts
        self.function, self.fused, self.inplace = calling_convention(objective.cost, "f")
        self.euclidean = objective.objective_type == "euclidean"
        self.backend: Any = None

    def functions(self) -> CostFunctions:
        gradient, counted, given = self._gradient()
        return CostFunctions(
            self.M, self._cost(), gradient, self._hessian(), counted, given, preconditioner=self._preconditioner()
        )

    def _preconditioner(self) -> Callable[[Any, Any], Any] | None:
        function, _, inplace = calling_convention(self.objective.preconditioner, "preconditioner")
        if not inplace:
            return function
        shape = tuple(self.M.vector_shape)

        def filled(p: Any, X: Any) -> Any:
            Y = np.empty(shape, dtype=X.dtype)
            function(p, X, Y)  # type: ignore[misc]
            return Y

        return filled

    def _cost(self) -> Callable[[Any], float] | None:
        if self.fused:
            return None
        f = self.function

        def cost(p: Any) -> float:
            value = f(p)  # type: ignore[misc]  # checked in __post_init__
            return value if type(value) is float else as_float(value)

        return cost

    def _gradient(self) -> tuple[Callable[[Any], Any], tuple[tuple[str, int], ...], bool]:
        if self.fused:
            return self._converted(self._fused_gradient()), (("cost", 1), ("gradient", 1)), True
        function, _, inplace = calling_convention(self.objective.gradient, "gradient")
        if function is not None:
            arrays = self._arrays(function, "gradient", inplace)
            return self._alone(arrays), (("gradient", 1),), True
        return self._differentiated()

    def _arrays(self, function: Any, name: str, inplace: bool = False) -> FreshArrays:
        operators = self.euclidean and self.M.takes_operators
        return FreshArrays(function, name, self._gradient_shape(), inplace, self.p.dtype, operators)

    def _gradient_shape(self) -> tuple[int, ...]:
        return tuple(self.M.embedding_shape if self.euclidean else self.M.vector_shape)

    def _fused_gradient(self) -> Callable[[Any], tuple[float, Any]]:
        f = self.function
        arrays = self._arrays(f, "gradient", self.inplace)

        def inplace(p: Any) -> tuple[float, Any]:
            value, G = arrays.filled(p)
            return as_float(value), G

        def allocating(p: Any) -> tuple[float, Any]:
            pair = f(p)  # type: ignore[misc]
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(f"`f` is Fused and must return (cost, gradient); it returned {type(pair).__name__}.")
            return as_float(pair[0]), arrays.checked(pair[1], p)

        return inplace if self.inplace else allocating

    def _alone(self, arrays: Callable[[Any], Any]) -> Callable[[Any], tuple[None, Any, Any]]:
        """A gradient that brings no cost."""
        M = self.M
        if not self.euclidean:
            return lambda p: (None, arrays(p), None)

        def gradient(p: Any) -> tuple[None, Any, Any]:
            G = arrays(p)
            return None, M.riemannian_gradient(p, G), G

        return gradient

    def _converted(self, raw: Callable[[Any], tuple[float | None, Any]]) -> Callable[[Any], tuple[Any, Any, Any]]:
        M = self.M
        if not self.euclidean:
            return lambda p: (*raw(p), None)

        def gradient(p: Any) -> tuple[float | None, Any, Any]:
            value, G = raw(p)
            return value, M.riemannian_gradient(p, G), G

        return gradient

    def _differentiated(self) -> tuple[Callable[[Any], Any], tuple[tuple[str, int], ...], bool]:
        from ..autodiff import check_cost_gradient, choose_backend

        f = self.function

        def tried(p: Any) -> Any:
            self.counts["check"] += 1
            return f(p)  # type: ignore[misc]

        self.backend = choose_backend(self.objective.autodiff, tried, self.p)
        costs = self.backend.cost_per_gradient(self.M)
        if costs:
            differences = self.backend.gradient(f, self.M)
            return lambda p: (None, differences(p), None), (("gradient", 1), ("cost", costs)), False
        value_and_gradient = self.backend.value_and_gradient(f, self.M)

        def gradient(p: Any) -> tuple[float, Any, None]:
            value, X = value_and_gradient(p)
            return value, X, None

        as_cost: Any = self._cost()
        first = gradient(self.p)
        self.counts["check"] += check_cost_gradient(as_cost, first[1], self.M, self.p)
        return handing_out(gradient, self.p, first), (("gradient", 1),), False

    def _hessian(self) -> Callable[[CostEvaluation], Callable[[Any], Any]]:
        function, _, inplace = calling_convention(self.objective.hessian, "hessian")
        if function is not None:
            return self._given_hessian(function, inplace)
        if self.backend is not None:
            tape = self.backend.hessian(self.function, self.M)
            return lambda e: tape(e.point)
        return lambda e: _difference_hessian(self.M, e)

    def _given_hessian(self, function: Callable[..., Any], inplace: bool) -> Callable[..., Any]:
        M, shape, euclidean = self.M, self._gradient_shape(), self.euclidean
        arrays = self._arrays(function, "hessian")

        def raw(p: Any, X: Any) -> Any:
            if not inplace:
                return arrays.checked(function(p, X))
            H = np.empty(shape, dtype=p.dtype)
            function(p, X, H)
            return H

        def operator(e: CostEvaluation) -> Callable[[Any], Any]:
            p = e.point
            if not euclidean:
                return lambda X: raw(p, X)
            e.gradient  # noqa: B018  # fills the Euclidean gradient that the conversion needs
            G = e._euclidean_gradient
            return lambda X: M.riemannian_hessian(p, G, raw(p, M.euclidean_direction(p, X)), X)

        return operator


def _difference_hessian(M: Any, e: CostEvaluation) -> Callable[[Any], Any]:
    """Hessian products by forward differences of the gradient along the retraction, transported back.

    The step follows Boumal (2015), section 4: of length sqrt(eps) times the scale of the point, independent of |X|;
    the difference of gradients then has an error of about sqrt(eps), which truncated CG tolerates. Parallel transport
    is used where there is one: the default transport may belong to another connection, as the left translation of
    rotations does, with which the result would not even be symmetric.
    """
    from ..autodiff.steps import scale_along

    p, gradient = e.point, e.gradient
    retract = M.get_retraction(None)
    transport = M.parallel_transport_to if M.has("parallel_transport_to") else M.get_transport(None)
    root = math.sqrt(np.finfo(p.dtype).eps)

    def apply(X: Any) -> Any:
        length = M.norm(p, X)
        if length == 0.0:
            return M.zero_vector(p)
        scale = scale_along(p, M.storage_vector(p, X / length))
        # a smaller point is rather near zero than in small units
        h = root * (scale if scale > root else 1.0) / length
        q = retract(p, X, h)
        for name, n in e.functions.counted:
            e.counts[name] += n
        _, Y, _ = e.functions.gradient(q)
        return M.tangentialize(p, (transport(q, Y, p) - gradient) / h)

    return apply
