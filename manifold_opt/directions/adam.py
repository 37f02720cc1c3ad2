r"""Adam and AMSGrad: directions from running moments of the gradient.

With g the gradient, T the transport from the last point, and componentwise squares:

    m <- b1 T m + (1 - b1) g,      v <- b2 v + (1 - b2) |g|^2,      X = -m' / (sqrt(v') + eps)

where m' = m / (1 - b1^k) and v' = v / (1 - b2^k) in step k = 1, 2, ... undo the bias of the zeros at the start.
AMSGrad replaces v by the largest so far. On a product or power manifold |g|^2 is that of each factor or copy, on a
Euclidean factor that of each entry, elsewhere the square of the Riemannian norm [1]: it is a number, or numbers of
factors, and needs no transport, and X is tangent.

References
----------
.. [1] G. Bécigneul, O. Ganea, Riemannian adaptive optimization methods, ICLR 2019, algorithm 1.
.. [2] D. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015.
.. [3] S. Reddi, S. Kale, S. Kumar, On the convergence of Adam and beyond, ICLR 2018.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from ..manifolds import Euclidean, PowerManifold, ProductManifold
from .base import BoundDirection, Direction


@dataclass(frozen=True)
class Adam(Direction):
    """Mean gradient over the root of the mean square gradient.

    Its length is about one, whatever the scale of the cost: give a short step size, ``ConstantLength(0.01)``.

    Parameters
    ----------
    first : float
        Decay b1 of the first moment, in [0, 1).
    second : float
        Decay b2 of the second moment, in [0, 1).
    eps : float
        Added to the root of the second moment.

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    first: float = 0.9
    second: float = 0.999
    _: KW_ONLY
    eps: float = 1e-8

    keeps_largest: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"`{name}` must be at least 0 and less than 1; got {getattr(self, name)!r}.")
        if not self.eps > 0.0:
            raise ValueError(f"`eps` must be positive; got {self.eps!r}.")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDirection:
        """Run-time object; its memory are the moments."""
        return _BoundAdam(self) if previous is None else previous


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam that divides by the root of the largest second moment so far, so that steps never grow again.

    Parameters
    ----------
    first, second, eps : float
        Those of `Adam`.
    """

    keeps_largest: ClassVar[bool] = True


class _BoundAdam(BoundDirection):
    __slots__ = ("k", "largest", "last", "mean", "square")
    k: int
    largest: Any
    last: Any
    mean: Any
    square: Any

    def __init__(self, rule: Adam) -> None:
        super().__init__(rule)
        self.restart()

    def compute(self, problem: Any, state: Any) -> Any:
        rule, e = self.rule, state.evaluation
        p, X = e.point, e.gradient
        squares = squared_components(problem.manifold, p, X)
        if self.k == 0:
            self.mean, self.square, self.largest = (1.0 - rule.first) * X, (1.0 - rule.second) * squares, 0.0
        else:
            self.mean = rule.first * state.transport(self.last, self.mean, p) + (1.0 - rule.first) * X
            self.square = rule.second * self.square + (1.0 - rule.second) * squares
        self.k, self.last = self.k + 1, p
        square = self.square
        if rule.keeps_largest:
            square = self.largest = np.maximum(self.largest, square)
        root = np.sqrt(square / (1.0 - rule.second**self.k))
        return (-1.0 / (1.0 - rule.first**self.k)) * self.mean / (root + rule.eps)

    def restart(self) -> None:
        self.k = 0
        self.mean = self.square = self.largest = self.last = None


def squared_components(M: Any, p: Any, X: Any) -> Any:
    """Array like X that holds for each entry the square of the component that it belongs to."""
    if isinstance(M, ProductManifold):
        parts = zip(M.factors, M.split(p), M.split_vector(X), strict=True)
        return M.join_vector(*(squared_components(N, q, Y) for (_, N), q, Y in parts))
    if isinstance(M, PowerManifold):
        return squared_components(M.manifold, p, X)
    if isinstance(M, Euclidean):
        return np.abs(X) ** 2
    norms = np.asarray(M.norm(p, X), dtype=X.real.dtype)
    return np.broadcast_to((norms**2).reshape(norms.shape + (1,) * len(M.vector_shape)), X.shape)
