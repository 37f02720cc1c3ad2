"""What every back end offers, and the road from derivatives of the stored array to Riemannian ones."""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg import Array
from .errors import CannotDifferentiate, DerivativeWarning
from .values import as_cost, as_residuals

__all__ = ["AutomaticBackend", "Backend", "Linearization"]

Cost = Callable[[Any], Any]
MANY_COLUMNS = 32  # up to so many columns at once cost about as little as one pass
MANY_PASSES = 50  # passes per Jacobian from which a hint is due (DESIGN.md, section 3)


@dataclass(frozen=True)
class Backend(ABC):
    """A way to differentiate functions of a point. A frozen value: it keeps nothing of the functions it met.

    The functions it returns take NumPy points and return Python floats and NumPy arrays, whatever library the user's
    function is written in. They keep what the user's function needs to be compiled or traced once, so make them once
    per function and manifold, not once per point.
    """

    name: ClassVar[str]

    @abstractmethod
    def probe(self, f: Callable[[Any], Any], p: Array) -> Backend:
        """Try the back end on ``f``, a cost or a residual, at ``p``.

        Returns
        -------
        Backend
            Itself, or a variant of itself with which ``f`` works.

        Raises
        ------
        CannotDifferentiate
            When it does not work on ``f``, saying why.
        """

    def value(self, f: Cost) -> Callable[[Array], float]:
        """Make p -> f(p) as a Python float."""
        return lambda p: as_cost(f(p))

    def values(self, r: Callable[[Any], Any]) -> Callable[[Array], Array]:
        """Make p -> r(p) as a vector of shape (m,)."""
        return lambda p: as_residuals(r(p))

    @abstractmethod
    def value_and_gradient(self, f: Cost, M: Any) -> Callable[[Array], tuple[float, Array]]:
        """Make p -> (f(p), Riemannian gradient of f at p, a stored vector)."""

    def gradient(self, f: Cost, M: Any) -> Callable[[Array], Array]:
        """Make p -> Riemannian gradient of f at p, for use where f(p) is known."""
        both = self.value_and_gradient(f, M)
        return lambda p: both(p)[1]

    @abstractmethod
    def hessian(self, f: Cost, M: Any) -> Callable[[Array], Callable[[Array], Array]]:
        """Make p -> (X -> Riemannian Hessian of f at p applied to X).

        What can be shared by products at one point, such as the tape of the gradient, is made by the first call.
        """

    @abstractmethod
    def jacobian(self, r: Callable[[Any], Any], M: Any) -> Callable[[Array], tuple[Array, Array]]:
        """Make p -> (r(p), J), of shapes (m,) and (m, dim).

        Column i is the derivative along the i-th vector of the default orthonormal basis of ``M`` at p; residuals of
        more than one axis are flattened in C order.
        """

    def cost_per_gradient(self, M: Any) -> int:
        """Calls of the function that one gradient or Jacobian makes beside the one inside its trace."""
        return 0


class Linearization(ABC):
    """A residual function at one point of storage, ready to be differentiated."""

    @property
    def wide(self) -> int:
        """Up to so many columns, `push` costs about as little as one pass, and brings the values along."""
        return 0

    @property
    @abstractmethod
    def values(self) -> Array:
        """Residuals, of shape (m,)."""

    @abstractmethod
    def push(self, V: Array) -> Array:
        """Derivatives along the directions ``V`` of shape (k, *point_shape), as columns: (m, k); k passes."""

    @abstractmethod
    def pull(self, W: Array) -> Array:
        """Gradients in storage, (k, *point_shape), of the products of r with the rows of ``W``, (k, m); k passes."""


class AutomaticBackend(Backend):
    """A back end that differentiates the function of the stored array exactly.

    Subclasses supply three derivatives in storage, where a complex gradient G satisfies df = Re<G, dp>. This class
    makes them Riemannian.
    """

    @abstractmethod
    def storage_gradient(self, f: Cost) -> Callable[[Array], tuple[float, Array]]:
        """Make p -> (f(p), G)."""

    @abstractmethod
    def storage_hessian(self, f: Cost) -> Callable[[Array], tuple[Array, Callable[[Array], Array]]]:
        """Make p -> (G, V -> derivative of G along V)."""

    @abstractmethod
    def linearize(self, r: Callable[[Any], Any]) -> Callable[[Array], Linearization]:
        """Make p -> the linearization of r there."""

    def value_and_gradient(self, f: Cost, M: Any) -> Callable[[Array], tuple[float, Array]]:  # noqa: D102
        storage = self.storage_gradient(f)
        convert = M.riemannian_gradient_from_storage

        def value_and_gradient(p: Array) -> tuple[float, Array]:
            value, G = storage(p)
            return value, convert(p, G)

        return value_and_gradient

    def hessian(self, f: Cost, M: Any) -> Callable[[Array], Callable[[Array], Array]]:  # noqa: D102
        from .finite_differences import hessian_by_differences

        by_differences = hessian_by_differences(self.gradient(f, M), M)
        if not M.has("riemannian_hessian_from_storage"):
            return by_differences
        storage = self.storage_hessian(f)
        failed = False

        def at(p: Array) -> Callable[[Array], Array]:
            nonlocal failed
            if not failed:
                try:
                    G, product = storage(p)
                    return lambda X: M.riemannian_hessian_from_storage(p, G, product(M.storage_vector(p, X)), X)
                except NotImplementedError as reason:
                    failed = True
                    warnings.warn(
                        f"{self.name} has no second derivative of this cost ({reason}): Hessian products come from "
                        "differences of gradients.",
                        DerivativeWarning,
                        stacklevel=3,
                    )
            return by_differences(p)

        return at

    def jacobian(self, r: Callable[[Any], Any], M: Any) -> Callable[[Array], tuple[Array, Array]]:  # noqa: D102
        linearize = self.linearize(r)
        m: int | None = None  # once it is known, forward mode brings the residuals along

        def jacobian(p: Array) -> tuple[Array, Array]:
            nonlocal m
            at = linearize(p)
            if m is None:
                early = _forward(at, M, p) if M.dim <= at.wide else None
                m = len(at.values)
                hint_at_cost(M, m, min(M.dim, m))
                if early is not None:
                    return at.values, early
            J = _forward(at, M, p) if M.dim <= max(m, at.wide) else _reverse(at, M, p)
            return at.values, J

        return jacobian


def _forward(at: Linearization, M: Any, p: Array) -> Array:
    return at.push(M.storage_vector(p, M.get_basis(p)))


def _reverse(at: Linearization, M: Any, p: Array) -> Array:
    G = at.pull(np.eye(len(at.values), dtype=at.values.dtype))
    return M.get_coordinates(p, M.riemannian_gradient_from_storage(p, G))


def hint_at_cost(M: Any, m: int, passes: int) -> None:
    """Warn that a Jacobian takes many passes, from 50 on, and say what to do about it."""
    if passes < MANY_PASSES:
        return
    warnings.warn(
        f"Each Jacobian of this residual (m = {m}, dim = {M.dim}) takes {passes} passes of differentiation. Give "
        "`jacobian=`, or describe the residual as a family of small blocks, which takes a few passes for all.",
        DerivativeWarning,
        stacklevel=4,
    )


def import_extra(module: str, backend: str) -> Any:
    """Import an optional library, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"The back end {backend!r} needs {module}, which is not installed: pip install 'manifold_opt[{backend}]'."
        ) from error


def cannot(name: str, why: object) -> CannotDifferentiate:
    """Build the error of a back end that fails on a function."""
    text = str(why).strip().split("\n")[0]
    kind = f"{type(why).__name__}: " if isinstance(why, BaseException) else ""
    return CannotDifferentiate(f"{name} cannot differentiate this function: {kind}{text[:300]}")
