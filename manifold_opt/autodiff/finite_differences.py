"""Central and forward differences along the retraction, in orthonormal coordinates."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg import Array
from .backend import Backend, Cost, cannot, hint_at_cost
from .steps import coordinate_scales, power_of_two, relative_step, scale_along
from .values import as_residuals

__all__ = ["FiniteDifferences", "hessian_by_differences"]

BLOCK = 2**16  # entries of basis vectors made at once


@dataclass(frozen=True)
class FiniteDifferences(Backend):
    """Central differences: 2 dim calls per gradient or Jacobian, about two thirds of the digits; or forward ones.

    Parameters
    ----------
    step : float, optional
        Step relative to the scale of each coordinate. Default: ``eps ** (1/3)`` of the point's precision, or its root
        for forward differences.
    scale : float, optional
        Length over which the function changes along a unit vector, the same for all coordinates. Default: from the
        stored point, 1 where it is zero.
    scheme : {"central", "forward"}
        Forward differences cost dim calls, and the one at the point where that is not known, and leave half of the
        digits.

    Raises
    ------
    ValueError
        When a step or scale is not positive, or the scheme is another.

    Notes
    -----
    The scale of a coordinate that is all but zero, since it converges to zero, say, is too small. Where the step is
    well below that for scale 1 and the second difference is too small to matter, the step is therefore enlarged until
    the curvature of the function shows; such a coordinate costs two more calls per trial. Forward steps are enlarged
    until the change of the function is above the square root of its rounding, for one call per trial.

    Needs ``retract``, ``get_vector`` and ``storage_vector`` of the manifold.

    References
    ----------
    J. Nocedal, S. Wright, Numerical Optimization, 2nd ed., Springer 2006, section 8.1.
    P. Gill, W. Murray, M. Saunders, M. Wright, Computing forward-difference intervals for numerical optimization,
    SIAM Journal on Scientific and Statistical Computing 4 (1983), 310-321 (steps from second differences).
    """

    step: float | None = None
    scale: float | None = None
    scheme: str = "central"

    name: ClassVar[str] = "finite-differences"

    def __post_init__(self) -> None:
        for name in ("step", "scale"):
            value = getattr(self, name)
            if value is not None and not (value > 0.0 and math.isfinite(value)):
                raise ValueError(f"`{name}` must be a positive number or None; got {value!r}.")
        if self.scheme not in _SCHEMES:
            raise ValueError(f"`scheme` must be one of {', '.join(map(repr, _SCHEMES))}; got {self.scheme!r}.")

    def probe(self, f: Callable[[Any], Any], p: Array) -> Backend:  # noqa: D102
        try:
            as_residuals(f(p))
        except TypeError as error:
            raise cannot(self.name, error) from error
        return self

    def cost_per_gradient(self, M: Any) -> int:
        """2 dim, or dim of forward differences: the usual number."""
        return (2 if self.scheme == "central" else 1) * int(M.dim)

    def value_and_gradient(self, f: Cost, M: Any) -> Callable[[Array], tuple[float, Array]]:  # noqa: D102
        cost = self.value(f)

        def value_and_gradient(p: Array) -> tuple[float, Array]:
            value = cost(p)
            return value, self._gradient(cost, M, p, lambda: value)

        return value_and_gradient

    def gradient(self, f: Cost, M: Any) -> Callable[[Array], Array]:  # noqa: D102
        cost = self.value(f)
        # the value at p is needed only where a step is in doubt, and then once
        return lambda p: self._gradient(cost, M, p, functools.cache(lambda: cost(p)))

    def _gradient(self, cost: Callable[[Array], float], M: Any, p: Array, center: Callable[[], float]) -> Array:
        derivative = _SCHEMES[self.scheme][0]
        c = [derivative(cost, M, p, center, *step) for step in self._steps(M, p)]
        return M.get_vector(p, np.array(c, dtype=p.real.dtype))

    def jacobian(self, r: Callable[[Any], Any], M: Any) -> Callable[[Array], tuple[Array, Array]]:  # noqa: D102
        # r may hand out one buffer again and again, so what is kept is copied
        residuals = lambda q: np.array(as_residuals(r(q)))
        hinted = False

        def jacobian(p: Array) -> tuple[Array, Array]:
            nonlocal hinted
            values = residuals(p)
            if not hinted:
                hinted = True
                hint_at_cost(M, len(values), M.dim)
            J = np.empty((len(values), M.dim), dtype=values.dtype)
            for i, step in enumerate(self._steps(M, p)):
                J[:, i] = _SCHEMES[self.scheme][0](residuals, M, p, lambda: values, *step)
            return values, J

        return jacobian

    def hessian(self, f: Cost, M: Any) -> Callable[[Array], Callable[[Array], Array]]:
        """Make p -> (X -> Hessian applied to X), by differences of gradients that are differences themselves.

        Each product costs 4 dim calls and has an error of about eps^(4/9), 1e-7 in double precision; half the calls,
        and eps^(1/3), with forward differences.
        """
        # of gradients with an error eps^a, the best step is eps^(a/3)
        return hessian_by_differences(self.gradient(f, M), M, power=2.0 / 3.0 * _SCHEMES[self.scheme][1])

    def _steps(self, M: Any, p: Array) -> Iterator[tuple[Array, float, float]]:
        """Unit vectors of the basis with their step and the largest step for them."""
        relative = self.step or relative_step(p.real.dtype, _SCHEMES[self.scheme][1])
        k = max(1, BLOCK // max(1, math.prod(M.vector_shape)))
        for start in range(0, M.dim, k):
            c = np.eye(min(k, M.dim - start), M.dim, k=start, dtype=p.real.dtype)
            E = M.get_vector(p, c)
            scales = coordinate_scales(p, M.storage_vector(p, E)) if self.scale is None else [self.scale] * len(E)
            for X, scale in zip(E, scales, strict=True):
                largest = scale if self.scale else max(scale, 1.0)
                yield X, power_of_two(relative * scale), power_of_two(relative * largest)


def _central(
    f: Callable[[Array], Any], M: Any, p: Array, center: Callable[[], Any], X: Array, h: float, largest: float
) -> Any:
    """Central difference along X with step h, enlarged up to ``largest`` where f hardly bends over it."""
    retract = M.get_retraction(None)
    eps = float(np.finfo(p.real.dtype).eps)
    while True:
        plus, minus = f(retract(p, X, h)), f(retract(p, X, -h))
        if h >= 0.1 * largest:
            break
        bend, size = _size(plus + minus - 2.0 * center()), max(_size(plus), _size(minus))
        best = eps ** (2.0 / 3.0) * size  # bend at the step that balances rounding and truncation
        if not bend < max(0.01 * best, 4.0 * eps * size):
            break
        h = min(largest, h * (power_of_two(math.sqrt(best / bend)) if bend > 64.0 * eps * size else 128.0))
    return (plus - minus) / (2.0 * h)


def _forward(
    f: Callable[[Array], Any], M: Any, p: Array, center: Callable[[], Any], X: Array, h: float, largest: float
) -> Any:
    """Forward difference along X with step h, enlarged up to ``largest`` while it drowns in rounding."""
    retract, start = M.get_retraction(None), center()
    level = math.sqrt(float(np.finfo(p.real.dtype).eps)) * _size(start)
    while True:
        change = f(retract(p, X, h)) - start
        if h >= 0.1 * largest or not _size(change) < level:
            return change / h
        h = min(largest, 128.0 * h)


# name -> difference, and the power of eps that its step is
_SCHEMES: dict[str, tuple[Callable[..., Any], float]] = {
    "central": (_central, 1.0 / 3.0),
    "forward": (_forward, 1.0 / 2.0),
}


def _size(value: Any) -> float:
    return abs(value) if isinstance(value, float) else float(np.max(np.abs(value), initial=0.0))


def hessian_by_differences(
    gradient: Callable[[Array], Array], M: Any, power: float = 1.0 / 3.0
) -> Callable[[Array], Callable[[Array], Array]]:
    """Hessian products as central differences of the gradient, transported back to the point.

    Parameters
    ----------
    gradient : callable
        Riemannian gradient as a stored vector.
    M : Manifold
        Needs ``retract``, a vector transport, ``norm`` and ``storage_vector``.
    power : float
        The step is ``eps ** power`` times the scale of motion.

    Returns
    -------
    callable
        p -> (X -> Hessian at p applied to X), two gradients per product.

    Notes
    -----
    The derivative of the transported gradient along any curve with velocity X is the covariant derivative if the
    transport is parallel to first order; a second-order retraction is not needed. Parallel transport is used where
    the manifold has it, since its default transport may belong to another connection (as the left translation of
    Lie groups does).
    """
    retract = M.get_retraction(None)
    transport = M.parallel_transport_to if M.has("parallel_transport_to") else M.get_transport(None)

    def at(p: Array) -> Callable[[Array], Array]:
        base = relative_step(p.real.dtype, power)
        floor = relative_step(p.real.dtype, 0.25)  # a smaller point is rather near zero than in small units

        def product(X: Array) -> Array:
            length = float(M.norm(p, X))
            if length == 0.0:
                return M.zero_vector(p)
            scale = scale_along(p, M.storage_vector(p, X / length))
            h = power_of_two(base * (scale if scale > floor else 1.0))
            q, o = retract(p, X, h / length), retract(p, X, -h / length)
            Y = transport(q, gradient(q), p) - transport(o, gradient(o), p)
            return M.tangentialize(p, Y * (length / (2.0 * h)))

        return product

    return at
