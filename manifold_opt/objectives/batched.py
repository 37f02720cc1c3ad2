"""Costs and residuals of many points at once: one per leading axis, independent of each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from ..manifolds import PowerManifold
from .base import OBJECTIVE_TYPES, Objective, check_choice
from .cost import CostFunctions, CostObjective
from .evaluation import Counts, Evaluation

JACOBIAN_TYPES = ("coordinates", "gradients", "euclidean")


@dataclass(frozen=True)
class BatchedCostObjective(Objective):
    """Costs and gradients of a batch of points.

    An evaluation at points ``(*batch, *point_shape)`` has the costs ``(*batch,)`` as ``cost`` and the gradients
    ``(*batch, *vector_shape)`` as ``gradient``; it counts once, however large the batch.

    Parameters
    ----------
    function : callable
        ``function(p)`` returns the costs and the Riemannian gradients; with a gradient, or ``autodiff``, the costs.
    gradient : callable, optional
        ``gradient(p)``, the gradients.
    objective_type : {"riemannian", "euclidean"}
        What ``gradient`` returns.
    autodiff : str, optional
        Where the gradients come from that neither function returns, see `CostObjective`. Differences perturb one
        coordinate of all members at once.
    """

    function: Callable[[Any], Any]
    gradient: Callable[[Any], Any] | None = None
    _: KW_ONLY
    objective_type: str = "riemannian"
    autodiff: str | None = None

    def __post_init__(self) -> None:
        for name in ("function", "gradient"):
            value = getattr(self, name)
            if not callable(value) and not (name == "gradient" and value is None):
                raise TypeError(f"`{name}` must be a function of points; got {value!r}.")
        check_choice("objective_type", self.objective_type, OBJECTIVE_TYPES)

    def bind(self, M: Any, p: Any, counts: Counts) -> CostFunctions:
        """Functions on M; their shapes are checked at every call."""
        k, shape = len(M.point_shape), tuple(M.vector_shape)
        function = self.function

        def both(p: Any) -> tuple[Any, Any, None]:
            pair = function(p)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(f"the function must return values and gradients; it returned {type(pair).__name__}.")
            batch = p.shape[: p.ndim - k]
            return checked("values", pair[0], batch, p), checked("gradients", pair[1], batch + shape, p), None

        if self.gradient is None and self.autodiff is None:
            return CostFunctions(M, None, both, _no_hessian, (("cost", 1), ("gradient", 1)))

        def cost(p: Any) -> Any:
            return checked("values", function(p), p.shape[: p.ndim - k], p)

        gradient, counted = self._gradient(M, p, counts)
        return CostFunctions(M, cost, gradient, _no_hessian, counted, self.gradient is not None)

    def _gradient(self, M: Any, p: Any, counts: Counts) -> tuple[Callable[[Any], Any], tuple[tuple[str, int], ...]]:
        k = len(M.point_shape)
        if self.gradient is None:
            return self._differentiated(M, p, counts)
        euclidean = self.objective_type == "euclidean"
        given, shape = self.gradient, tuple(M.embedding_shape if euclidean else M.vector_shape)

        def gradient(p: Any) -> tuple[None, Any, None]:
            G = checked("gradients", given(p), p.shape[: p.ndim - k] + shape, p)
            return None, M.riemannian_gradient(p, G) if euclidean else G, None

        return gradient, (("gradient", 1),)

    def _differentiated(
        self, M: Any, p: Any, counts: Counts
    ) -> tuple[Callable[[Any], Any], tuple[tuple[str, int], ...]]:
        from ..autodiff import choose_backend

        function = self.function
        total = lambda p: function(p).sum()  # members are independent: the gradient of the sum has those of all

        def tried(p: Any) -> Any:
            counts["check"] += 1
            return total(p)

        N = PowerManifold(M, p.shape[: p.ndim - len(M.point_shape)])
        if not choose_backend(self.autodiff or "auto", tried, p).cost_per_gradient(N):
            inner = CostObjective(total, autodiff=self.autodiff or "auto").bind(N, p, counts)
            return (lambda p: (None, inner.gradient(p)[1], None)), inner.counted
        values = lambda p: np.asarray(function(p), dtype=p.dtype)[..., None]
        gradient = lambda p: (None, M.get_vector(p, member_differences(values, M, p)[..., 0, :]), None)
        return gradient, (("gradient", 1), ("cost", 2 * M.dim))


def checked(name: str, value: Any, shape: tuple[int, ...], p: Any) -> Any:
    """An array of this shape, in the precision of the points."""
    a = np.asarray(value, dtype=p.real.dtype if np.asarray(value).dtype.kind in "fiub" else p.dtype)
    if a.shape != shape:
        raise ValueError(
            f"the function must return {name} of shape {shape} for points of shape {p.shape}; it returned {a.shape}."
        )
    return a


def member_differences(f: Callable[[Any], Any], M: Any, p: Any) -> Any:
    """Derivatives of ``f(p)`` of shape (*batch, m) in coordinates, (*batch, m, dim), by central differences."""
    from ..autodiff.steps import relative_step

    k, retract = len(M.point_shape), M.get_retraction(None)
    batch = p.shape[: p.ndim - k]
    size = np.sqrt(np.sum(np.abs(p) ** 2, axis=tuple(range(-k, 0))) / max(math.prod(M.point_shape), 1))
    h = relative_step(p.real.dtype) * np.where(size > 0.0, size, 1.0).astype(p.real.dtype)
    columns = []
    for j in range(M.dim):
        c = np.zeros((*batch, M.dim), p.real.dtype)
        c[..., j] = 1.0
        E = M.get_vector(p, c)
        columns.append((f(retract(p, E, h)) - f(retract(p, E, -h))) / (2.0 * h)[..., None])
    return np.stack(columns, axis=-1)


def _no_hessian(e: Any) -> Any:
    raise NotImplementedError("a batch of costs has no Hessian products.")


class BatchedResidualEvaluation(Evaluation):
    """Residuals, Jacobians, costs and gradients of a batch of points.

    Attributes
    ----------
    point : array of shape (*batch, *point_shape)
    residuals : array of shape (*batch, m)
    jacobian : array of shape (*batch, m, dim)
        In orthonormal coordinates.
    cost : array of shape (*batch,)
        Half the sums of squares.
    gradient_coordinates : array of shape (*batch, dim)
    gradient : array of shape (*batch, *vector_shape)
    gradient_norm : array of shape (*batch,)
    """

    quantities: ClassVar[tuple[str, ...]] = (
        "residuals",
        "jacobian",
        "cost",
        "gradient_coordinates",
        "gradient",
        "gradient_norm",
    )
    __slots__ = tuple("_" + name for name in quantities)

    def _computed(self, name: str, compute: Callable[[], Any]) -> Any:
        value = getattr(self, "_" + name)
        if value is None:
            value = compute()
            setattr(self, "_" + name, value)
        return value

    @property
    def residuals(self) -> Any:
        """r(p)."""
        return self._computed("residuals", lambda: self.functions.residual(self.point, self.counts))

    @property
    def jacobian(self) -> Any:
        """J(p)."""
        return self._computed("jacobian", lambda: self.functions.jacobian(self.point, self.counts))

    @property
    def cost(self) -> Any:
        """Half the sums of squares."""
        return self._computed("cost", lambda: 0.5 * np.einsum("...m,...m->...", self.residuals, self.residuals))

    @property
    def gradient_coordinates(self) -> Any:
        """J'r."""
        product = lambda: np.einsum("...m,...md->...d", self.residuals, self.jacobian)
        return self._computed("gradient_coordinates", product)

    @property
    def gradient(self) -> Any:
        """Riemannian gradients."""
        return self._computed(
            "gradient", lambda: self.functions.manifold.get_vector(self.point, self.gradient_coordinates)
        )

    @property
    def gradient_norm(self) -> Any:
        """Their norms."""
        return self._computed("gradient_norm", lambda: np.linalg.norm(self.gradient_coordinates, axis=-1))


@dataclass(frozen=True)
class BatchedResidualFunctions:
    """Run-time side: both functions take points and the counters."""

    manifold: Any
    residual: Callable[[Any, Counts], Any]
    jacobian: Callable[[Any, Counts], Any]

    def evaluation(self, p: Any, counts: Counts) -> BatchedResidualEvaluation:
        """Lazy evaluation at p."""
        return BatchedResidualEvaluation(self, p, counts)


@dataclass(frozen=True)
class BatchedLeastSquaresObjective(Objective):
    """Residuals of a batch of points, each member with its own m residuals.

    Parameters
    ----------
    residual : callable
        ``residual(p)`` takes points ``(*batch, *point_shape)`` and returns ``(*batch, m)``.
    jacobian : callable, optional
        ``jacobian(p)``, of shape ``(*batch, m, dim)`` in coordinates, or ``(*batch, m, *shape)`` in the other types.
        Default: by autograd's forward mode where it can trace the residual, else by central differences; either takes
        one run per coordinate for all members together.
    jacobian_type : {"coordinates", "gradients", "euclidean"}
        See `NonlinearLeastSquaresObjective`.
    autodiff : {"auto", "autograd", "finite-differences"}
    """

    residual: Callable[[Any], Any]
    jacobian: Callable[[Any], Any] | None = None
    _: KW_ONLY
    jacobian_type: str = "coordinates"
    autodiff: str = "auto"

    def __post_init__(self) -> None:
        if not callable(self.residual) or not (self.jacobian is None or callable(self.jacobian)):
            raise TypeError("`residual` and `jacobian` of a batch must be functions of points.")
        check_choice("jacobian_type", self.jacobian_type, JACOBIAN_TYPES)
        check_choice("autodiff", self.autodiff, ("auto", "autograd", "finite-differences"))

    def bind(self, M: Any, p: Any, counts: Counts) -> BatchedResidualFunctions:
        """Functions on M, the derivative resolved at p."""
        axes = len(M.point_shape)

        def plain(p: Any) -> Any:
            r = np.asarray(self.residual(p))
            batch = p.shape[: p.ndim - axes]
            if r.dtype.kind not in "fiub" or r.ndim != len(batch) + 1 or r.shape[:-1] != batch:
                raise ValueError(
                    f"`residual` of a batch must return real numbers of shape {(*batch, 'm')} for points of shape "
                    f"{p.shape}; it returned {r.dtype} of shape {r.shape}."
                )
            return r.astype(p.real.dtype, copy=False)

        def residual(p: Any, counts: Counts) -> Any:
            counts["residual"] += 1
            return plain(p)

        return BatchedResidualFunctions(M, residual, self._jacobian(M, p, plain, counts))

    def _jacobian(self, M: Any, p: Any, residual: Callable[[Any], Any], counts: Counts) -> Callable[[Any, Counts], Any]:
        if self.jacobian is not None:
            return self._given(M)
        forward = lambda p: _forward(self.residual, M, p)
        if self.autodiff != "finite-differences":
            try:
                found, expected = forward(p), member_differences(residual, M, p)
                counts["check"] += 2 * M.dim
            except Exception:
                if self.autodiff == "autograd":
                    raise
            else:
                gap = np.abs(found - expected)
                if np.all(gap <= 1e-3 * np.abs(expected).max(axis=(-1, -2), keepdims=True) + 1e-6):
                    return _counting(forward, (("jacobian", 1),))
                if self.autodiff == "autograd":
                    raise ValueError("autograd and differences of the batched residual disagree: a derivative is lost.")
        differences = lambda p: member_differences(residual, M, p)
        return _counting(differences, (("jacobian", 1), ("residual", 2 * M.dim)))

    def _given(self, M: Any) -> Callable[[Any, Counts], Any]:
        given, kind, axes = self.jacobian, self.jacobian_type, len(M.point_shape)
        tail = {"gradients": M.vector_shape, "euclidean": M.embedding_shape}.get(kind, (M.dim,))

        def jacobian(p: Any) -> Any:
            J = np.asarray(given(p))  # type: ignore[misc]  # the caller looked
            batch = p.shape[: p.ndim - axes]
            if J.ndim != len(batch) + 1 + len(tail) or J.shape[: len(batch)] != batch or J.shape[-len(tail) :] != tail:
                raise ValueError(
                    f"`jacobian` of a batch must return an array of shape {(*batch, 'm', *tail)}; it returned "
                    f"{J.shape}."
                )
            if kind == "coordinates":
                return J.astype(p.real.dtype, copy=False)
            m = J.shape[len(batch)]
            points = np.broadcast_to(np.expand_dims(p, len(batch)), (*batch, m, *M.point_shape))
            X = M.riemannian_gradient(points, J) if kind == "euclidean" else J
            return M.get_coordinates(points, X)

        return _counting(jacobian, (("jacobian", 1),))


def _counting(f: Callable[[Any], Any], counted: tuple[tuple[str, int], ...]) -> Callable[[Any, Counts], Any]:
    def function(p: Any, counts: Counts) -> Any:
        for name, n in counted:
            counts[name] += n
        return f(p)

    return function


def _forward(residual: Callable[[Any], Any], M: Any, p: Any) -> Any:
    """Jacobians by autograd's forward mode, one pass per coordinate."""
    from autograd.differential_operators import make_jvp

    along, columns = make_jvp(residual)(p), []
    batch = p.shape[: p.ndim - len(M.point_shape)]
    for j in range(M.dim):
        c = np.zeros((*batch, M.dim), p.real.dtype)
        c[..., j] = 1.0
        columns.append(np.asarray(along(M.storage_vector(p, M.get_vector(p, c)))[1], dtype=p.real.dtype))
    return np.stack(columns, axis=-1)
