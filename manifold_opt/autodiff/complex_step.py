"""Derivatives by a complex step: exact to rounding, for functions that are analytic in the entries of the point.

W. Squire, G. Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998), 110-112.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg import Array
from .backend import Backend, Cost, cannot, hint_at_cost
from .finite_differences import hessian_by_differences
from .values import as_cost, as_residuals, describe

__all__ = ["ComplexStep"]


@dataclass(frozen=True)
class ComplexStep(Backend):
    """Derivatives as Im f(p + i h V) / h: dim calls per gradient or Jacobian.

    Never chosen automatically: norms, absolute values, comparisons and conjugates are not analytic, and through them
    the derivative is silently zero or wrong. The random central difference of the solvers' safeguard does detect it.
    Points must be real.
    """

    name: ClassVar[str] = "complex-step"

    def probe(self, f: Callable[[Any], Any], p: Array) -> Backend:  # noqa: D102
        if p.dtype.kind == "c":
            raise cannot(self.name, "its points are complex; complex steps need real ones")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", _discarded_imaginary())
                value = f(_complex(p, np.ones_like(p)))
        except Exception as error:
            raise cannot(self.name, error) from error
        if np.asarray(value).dtype.kind != "c":
            raise cannot(
                self.name,
                f"of a complex point it makes a real value ({describe(value)}), so it is not analytic",
            )
        return self

    def cost_per_gradient(self, M: Any) -> int:
        """Dim: one call for each coordinate."""
        return int(M.dim)

    def value_and_gradient(self, f: Cost, M: Any) -> Callable[[Array], tuple[float, Array]]:  # noqa: D102
        gradient = self.gradient(f, M)
        return lambda p: (as_cost(f(p)), gradient(p))

    def gradient(self, f: Cost, M: Any) -> Callable[[Array], Array]:  # noqa: D102
        def gradient(p: Array) -> Array:
            c = [as_cost(_derivative(f, p, V)) for V in M.storage_vector(p, M.get_basis(p))]
            return M.get_vector(p, np.array(c, dtype=p.dtype))

        return gradient

    def hessian(self, f: Cost, M: Any) -> Callable[[Array], Callable[[Array], Array]]:
        """Make p -> (X -> Hessian applied to X): central differences of complex-step gradients, 2 dim calls."""
        return hessian_by_differences(self.gradient(f, M), M)

    def jacobian(self, r: Callable[[Any], Any], M: Any) -> Callable[[Array], tuple[Array, Array]]:  # noqa: D102
        hinted = False

        def jacobian(p: Array) -> tuple[Array, Array]:
            nonlocal hinted
            values = as_residuals(r(p))
            if not hinted:
                hinted = True
                hint_at_cost(M, len(values), M.dim)
            J = np.empty((len(values), M.dim), dtype=values.dtype)
            for i, V in enumerate(M.storage_vector(p, M.get_basis(p))):
                J[:, i] = as_residuals(_derivative(r, p, V))
            return values, J

        return jacobian


def _step(p: Array) -> float:
    # any h whose square vanishes beside the entries of p will do, as long as h times the derivative does not underflow
    return 1e-100 if p.dtype.itemsize >= 8 else 1e-18


def _complex(p: Array, V: Array) -> Array:
    z = p.astype(np.result_type(p.dtype, np.complex64))
    z.imag = _step(p) * V
    return z


def _derivative(f: Callable[[Any], Any], p: Array, V: Array) -> Array:
    value = f(_complex(p, V))
    if isinstance(value, list | tuple):
        value = np.concatenate([np.reshape(part, -1) for part in value])
    return np.imag(np.asarray(value)) / _step(p)


def _discarded_imaginary() -> type[Warning]:
    # named np.ComplexWarning before NumPy 1.25 and only np.exceptions.ComplexWarning since NumPy 2
    return np.exceptions.ComplexWarning
