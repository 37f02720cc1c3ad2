"""A cost on a product whose gradient is known factor by factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .cost import CostFunctions, CostObjective
from .evaluation import Counts
from .user_functions import FreshArrays, calling_convention


@dataclass(frozen=True)
class ComponentFunctions(CostFunctions):
    """Run-time side: `CostFunctions` and the gradients of the factors.

    Attributes
    ----------
    components : tuple of callable
        p -> Riemannian gradient of the cost in one factor, in their order.
    """

    components: tuple[Callable[[Any], Any], ...] = ()


@dataclass(frozen=True, eq=False)
class ComponentCostObjective(CostObjective):
    """A cost on a product manifold with one gradient for each factor.

    Parameters
    ----------
    cost : callable
        ``f(p) -> float``.
    components : dict of str to callable
        Name of each factor -> ``gradient(p)``, the Riemannian gradient with respect to that factor, a stored vector of
        it; p is the point of the product.

    Raises
    ------
    TypeError, ValueError
        When the names are not those of the factors.
    """

    components: Mapping[str, Callable[..., Any]] = field(default_factory=dict, kw_only=True)

    def bind(self, M: Any, p: Any, counts: Counts) -> ComponentFunctions:
        """Functions on M, a product."""
        names = getattr(M, "names", None)
        if names is None:
            raise TypeError(f"component gradients need a ProductManifold; got {M!r}.")
        if set(names) != set(self.components):
            raise ValueError(f"`gradients` must name the factors {', '.join(names)}; got {', '.join(self.components)}.")
        factors = dict(M.factors)
        functions = []
        for name in names:
            function, _, inplace = calling_convention(self.components[name], f"gradients[{name!r}]")
            shape = tuple(factors[name].vector_shape)
            functions.append(FreshArrays(function, f"gradients[{name!r}]", shape, inplace, p.dtype))  # type: ignore[arg-type]
        joined = lambda q: M.join_vector(*(g(q) for g in functions))
        plain = CostObjective(self.cost, joined).bind(M, p, counts)
        counted = (("component_gradient", len(names)),)
        return ComponentFunctions(
            M, plain.cost, plain.gradient, plain.hessian_operator, counted, True, components=tuple(functions)
        )
