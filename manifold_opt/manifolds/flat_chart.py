"""Manifolds that one chart maps isometrically onto a whole Euclidean space."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative

__all__ = ["FlatChart", "dense"]


class FlatChart(Manifold):
    """A manifold of matrices with an isometric chart ``phi`` onto a linear space of matrices with the Frobenius metric.

    Geodesics are straight lines of the chart, so everything is in closed form and nothing ever ends. A subclass gives
    the chart and its derivatives, all with what is worth computing once at a point, its factor.
    """

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector "
        "project_point project_vector tangentialize riemannian_gradient riemannian_hessian euclidean_representer "
        "weingarten random_point check_point check_vector injectivity_radius sectional_curvature_bounds".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"exponential": "log", "logarithmic": "log"}
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    # ---------------- the chart

    @abstractmethod
    def _factor(self, p: Array) -> Any:
        """What the methods below need to know of p."""

    @abstractmethod
    def _difference(self, f: Any, q: Array) -> Array:
        """``phi(q) - phi(p)``, accurate relative to itself."""

    @abstractmethod
    def _moved(self, f: Any, c: Array) -> Array:
        """The point with the image ``phi(p) + c``."""

    @abstractmethod
    def _push(self, f: Any, X: Array) -> Array:
        """The derivative of the chart at p along X."""

    @abstractmethod
    def _pull(self, f: Any, c: Array) -> Array:
        """The inverse of `_push`."""

    @abstractmethod
    def _push_adjoint(self, f: Any, c: Array) -> Array:
        """The symmetric G with ``<G, Y> = <c, push(Y)>`` for all tangent Y."""

    @abstractmethod
    def _chart_gradient(self, f: Any, G: Array) -> Array:
        """The gradient of ``f o phi^-1`` for the Euclidean gradient G of f."""

    @abstractmethod
    def _chart_hessian(self, f: Any, G: Array, H: Array, X: Array) -> Array:
        """The Hessian of ``f o phi^-1`` along the push of X."""

    @abstractmethod
    def _to_vector(self, c: Array) -> Array:
        """Orthonormal coordinates of the arrays of the chart."""

    @abstractmethod
    def _from_vector(self, c: Array) -> Array:
        """The inverse of `_to_vector`."""

    # ---------------- what follows

    @property
    def injectivity_radius(self) -> float:
        """Infinite: the chart covers all."""
        return math.inf

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Flat."""
        return 0.0, 0.0

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The Frobenius product of the images of X and Y."""
        f = self._factor(p)
        a = self._push(f, X)
        b = a if Y is X else self._push(f, Y)
        if type(a) is np.ndarray and type(b) is np.ndarray and a.ndim == 2 == b.ndim:
            return float(np.vdot(a, b))
        return scalar(frobenius(namespace(a, b), a, b, 2))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The Frobenius norm of the difference of the images."""
        c = self._difference(self._factor(p), q)
        if type(c) is np.ndarray and c.ndim == 2:
            return math.sqrt(np.vdot(c, c))
        return safe_sqrt_of(frobenius(namespace(c), c, c, 2))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The straight line of the chart."""
        f = self._factor(p)
        return written(self._moved(f, expanded(t, 2) * self._push(f, X)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The difference in the chart."""
        f = self._factor(p)
        return written(self._pull(f, self._difference(f, q)), out)

    def retract(self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None) -> Array:
        """The exponential, unless another method is named; see `Manifold.retract`."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The vector at q with the same image in the chart."""
        return written(self._pull(self._factor(q), self._push(self._factor(p), X)), out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """The vector at the end of the geodesic with the same image in the chart."""
        f = self._factor(p)
        q = self._moved(f, self._push(f, d))
        return written(self._pull(self._factor(q), self._push(f, X)), out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates of the image in the chart: O(n^3)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(self._to_vector(self._push(self._factor(p), X)), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The vector whose image has these coordinates: O(n^3)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(self._pull(self._factor(p), self._from_vector(c)), out)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The gradient in the chart, pulled back."""
        f = self._factor(p)
        return self._pull(f, self._chart_gradient(f, dense(G)))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The Hessian in the chart, pulled back."""
        f = self._factor(p)
        return self._pull(f, self._chart_hessian(f, dense(G), dense(H), X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """The adjoint of the derivative of the chart, of the image of X."""
        f = self._factor(p)
        return self._push_adjoint(f, self._push(f, X))


def dense(G: Any) -> Array:
    """An array, of a derivative that may be a sparse matrix."""
    return G.toarray() if hasattr(G, "toarray") else G
