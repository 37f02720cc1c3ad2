"""A cost of many points at once: one per leading axis, independent of each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Objective
from .cost import CostFunctions
from .evaluation import Counts


@dataclass(frozen=True)
class BatchedCostObjective(Objective):
    """Costs and gradients of a batch of points.

    An evaluation at points ``(*batch, *point_shape)`` has the costs ``(*batch,)`` as ``cost`` and the gradients
    ``(*batch, *vector_shape)`` as ``gradient``; it counts once, however large the batch.

    Parameters
    ----------
    function : callable
        ``function(p)`` returns the costs and the Riemannian gradients.
    """

    function: Callable[[Any], tuple[Any, Any]]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"`function` must be a function of points; got {self.function!r}.")

    def bind(self, M: Any, p: Any, counts: Counts) -> CostFunctions:
        """Functions on M; their shapes are checked at every call."""
        function, axes, shape = self.function, len(M.point_shape), tuple(M.vector_shape)

        def both(p: Any) -> tuple[Any, Any, None]:
            pair = function(p)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(f"the function must return values and gradients; it returned {type(pair).__name__}.")
            batch = p.shape[: p.ndim - axes]
            values, gradients = (np.asarray(a, dtype=p.dtype) for a in pair)
            for name, a, expected in (("values", values, batch), ("gradients", gradients, batch + shape)):
                if a.shape != expected:
                    raise ValueError(
                        f"the function must return {name} of shape {expected} for points of shape {p.shape}; "
                        f"it returned {a.shape}."
                    )
            return values, gradients, None

        return CostFunctions(M, None, both, _no_hessian, (("cost", 1), ("gradient", 1)))


def _no_hessian(e: Any) -> Any:
    raise NotImplementedError("a batch of costs has no Hessian products.")
