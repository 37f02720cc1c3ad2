"""A manifold with a metric of the user's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import scalar, written
from manifold_opt.manifolds.base import Manifold

__all__ = ["MetricManifold"]


@dataclass(frozen=True, repr=False)
class MetricManifold(Manifold):
    """The points of a manifold with another metric, given by a matrix at every point.

    Parameters
    ----------
    manifold : Manifold
        Gives points, tangent spaces, the retraction, projections and checks.
    matrix : callable
        ``matrix(p)`` is a symmetric matrix A of shape ``(*batch, N, N)``, N numbers in the embedding, and the inner
        product of tangent vectors is ``x' A y`` with the embedded vectors laid flat. On tangent vectors it must be
        positive definite; what it does to others is not used.

    Raises
    ------
    TypeError
        If `manifold` is no manifold or a complex one, or `matrix` cannot be called.

    Notes
    -----
    A matrix near the Hessian of a cost makes gradient descent Newton's method, and a Fisher information makes it the
    natural gradient. The frame is the inner manifold's, made orthonormal by the Cholesky factor of its Gram matrix;
    gradients solve with that, O(dim^2 N + dim^3). Hessians follow from Koszul's formula by differences of the metric,
    about eight digits. Retractions stay retractions under every metric and are the inner manifold's, but for its
    exponential, which no longer is one and is called ``"base exponential"``. There are no geodesics: ``exp``, ``log``
    and ``distance`` raise `MissingOperation`.

    Two are equal when manifold and function are; a module-level function pickles.

    References
    ----------
    P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton, 2008, section 3.6.
    """

    manifold: Manifold
    matrix: Callable[[Array], Array]

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner project_vector project_point tangentialize get_coordinates get_vector random_point check_point "
        "check_vector".split()
    )
    transports: ClassVar[Mapping[str, str]] = {"projection": "_transport_projection"}

    def __post_init__(self) -> None:
        if not isinstance(self.manifold, Manifold):
            raise TypeError(f"manifold must be a Manifold, but it is {self.manifold!r}")
        if self.manifold.field == "complex":
            raise TypeError(
                f"{self.manifold!r} is complex, and a matrix acts on real numbers; use a real manifold, or write a "
                "class with your own `inner`"
            )
        if not callable(self.matrix):
            raise TypeError(
                f"matrix must be a function of the point, but it is {self.matrix!r}; for a constant matrix A write "
                "lambda p: A"
            )

    def __repr__(self) -> str:
        """With the name of the function."""
        return f"MetricManifold({self.manifold!r}, {getattr(self.matrix, '__name__', self.matrix)})"

    # ---------------- what it is: the inner manifold

    @property
    def dim(self) -> int:
        """That of the inner manifold."""
        return self.manifold.dim

    @property
    def point_shape(self) -> tuple[int, ...]:
        """That of the inner manifold."""
        return self.manifold.point_shape

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """That of the inner manifold."""
        return self.manifold.vector_shape

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """That of the inner manifold."""
        return self.manifold.embedding_shape

    @property
    def stored_as_embedded(self) -> bool:
        """That of the inner manifold."""
        return self.manifold.stored_as_embedded

    def has(self, name: str) -> bool:
        """Whether it can be called; what asks for geodesics cannot."""
        return self.manifold.has(name) if name == "project_point" else super().has(name)

    # ---------------- the metric

    def _flat(self, p: Array, X: Array) -> Array:
        Z = self.manifold.embed_vector(p, X)
        k = len(self.embedding_shape)
        return namespace(Z).reshape(Z, (*Z.shape[: Z.ndim - k], math.prod(self.embedding_shape)))

    def _at(self, p: Array) -> Array:
        """The matrix, in the precision of p."""
        A = self.matrix(p)
        return A.astype(p.dtype, copy=False) if type(A) is np.ndarray and type(p) is np.ndarray else A

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``x' A(p) y``."""
        A, x = self._at(p), self._flat(p, X)
        y = x if Y is X else self._flat(p, Y)
        xp = namespace(A, x, y)
        return scalar(xp.sum(x * xp.matmul(A, y[..., None])[..., 0], axis=-1))

    def get_basis(self, p: Array, basis: Any = None) -> Array:
        """The inner manifold's default basis made orthonormal."""
        return super().get_basis(p, basis) if basis is not None else self._frame(p)[0]

    def _frame(self, p: Array) -> tuple[Array, Array]:
        """The orthonormal basis, and the matrix L with its base = ``L^-1`` times the inner manifold's."""
        B = self.manifold.get_basis(p)
        E = self._flat(p.reshape((*self._batch(p), 1, *self.point_shape)), B)
        xp = namespace(E)
        gram = xp.matmul(xp.matmul(E, self._at(p)), E.swapaxes(-1, -2))
        L = xp.linalg.cholesky(0.5 * (gram + gram.swapaxes(-1, -2)))
        flat = B.reshape((*B.shape[: B.ndim - len(self.vector_shape)], math.prod(self.vector_shape)))
        return xp.linalg.solve(L, flat).reshape(B.shape), L

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``L'`` times the inner manifold's coordinates, with the Cholesky factor L of the Gram matrix."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        L, c = self._frame(p)[1], self.manifold.get_coordinates(p, X)
        return written(namespace(L, c).matmul(L.swapaxes(-1, -2), c[..., None])[..., 0], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """From the inner manifold's coordinates ``L^-T c``."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        L = self._frame(p)[1]
        xp = namespace(L, c)
        return written(self.manifold.get_vector(p, xp.linalg.solve(L.swapaxes(-1, -2), c[..., None])[..., 0]), out)

    # ---------------- methods: the inner manifold's

    @property
    def retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the inner manifold's
        """Those of the inner manifold; its exponential is none here, and has another name."""
        return {_named(name): name for name in self.manifold._names("retraction")}

    @property
    def inverse_retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the inner manifold's
        """Those of the inner manifold."""
        return {_named(name): name for name in self.manifold._names("inverse retraction") if name != "logarithmic"}

    @property
    def default_retraction(self) -> str:
        """That of the inner manifold."""
        return _named(self.manifold.default_retraction)

    @property
    def default_inverse_retraction(self) -> str:
        """That of the inner manifold."""
        return _named(self.manifold.default_inverse_retraction)

    @property
    def default_transport(self) -> str:
        """Projection: nothing is parallel under an unknown metric."""
        return "projection"

    def _works(self, kind: str, name: str) -> bool:
        return True

    def get_retraction(self, method: Any = None) -> Callable[..., Array]:
        """A retraction of the inner manifold."""
        return self._inherited("retraction", method, self.retractions, self.manifold.get_retraction)

    def get_inverse_retraction(self, method: Any = None) -> Callable[..., Array]:
        """An inverse retraction of the inner manifold."""
        names = self.inverse_retractions
        return self._inherited("inverse retraction", method, names, self.manifold.get_inverse_retraction)

    def _inherited(
        self, kind: str, method: Any, names: Mapping[str, str], get: Callable[[Any], Callable[..., Array]]
    ) -> Callable[..., Array]:
        if method is None or (isinstance(method, str) and method in names):
            return get(None if method is None else names[method])
        return self._resolved(kind, method)  # a callable, or the error about the name

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """As in the inner manifold."""
        return self.manifold.project_point(z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """As in the inner manifold: nearest in the embedding."""
        return self.manifold.project_vector(p, Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """As in the inner manifold."""
        return self.manifold.tangentialize(p, X)

    def embed_point(self, p: Array) -> Array:
        """As in the inner manifold."""
        return self.manifold.embed_point(p)

    def embed_vector(self, p: Array, X: Array) -> Array:
        """As in the inner manifold."""
        return self.manifold.embed_vector(p, X)

    def storage_vector(self, p: Array, X: Array) -> Array:
        """As in the inner manifold."""
        return self.manifold.storage_vector(p, X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """As in the inner manifold: the derivative of the projection."""
        return self.manifold.weingarten(p, X, V)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """As in the inner manifold."""
        return self.manifold.random_point(rng, size)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a point of the inner manifold."""
        self.manifold.check_point(p, atol)

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is tangent to the inner manifold at p."""
        self.manifold.check_vector(p, X, atol)


def _named(name: str) -> str:
    return "base exponential" if name == "exponential" else name
