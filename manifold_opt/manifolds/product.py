"""Points of several manifolds together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array
from manifold_opt.manifolds.arrays import cleared
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.methods import unknown_name
from manifold_opt.manifolds.scaled import Scaled

__all__ = ["ProductManifold"]


@dataclass(frozen=True, init=False, repr=False)
class ProductManifold(Manifold):
    """The product of named manifolds, a point being one flat array.

    Parameters
    ----------
    **factors : Manifold
        The factors in order, by name: ``ProductManifold(R=Rotations(3), t=Euclidean(3))``.
    weights : mapping of str to float, optional
        What the inner products of the factors it names are multiplied by; these factors become `Scaled` ones. The
        others have weight 1.

    Raises
    ------
    ValueError, TypeError
        If there is no factor, one is not a manifold, or a weight is not positive or names no factor.

    Notes
    -----
    ``R, t = M.split(p)`` are views of the flat array, ``p = M.join(R, t)`` makes one. With a real factor the
    array is real and complex factors are (re, im) pairs in it, of which `split` returns complex views.
    Coordinates are those of the factors in order. A method name applies to the factors that have it; a
    mapping of factor to method names factors; the others take their default.
    """

    factors: tuple[tuple[str, Manifold], ...]

    def __init__(self, *, weights: Mapping[str, float] | Manifold | None = None, **factors: Manifold) -> None:
        if isinstance(weights, Manifold):  # a factor of this name
            factors, weights = {**factors, "weights": weights}, None
        if not factors:
            raise ValueError(
                "a product needs named factors; write ProductManifold(R=Rotations(3), t=Euclidean(3))"
            )
        for name, M in factors.items():
            if not isinstance(M, Manifold):
                raise TypeError(f"factor {name} must be a Manifold, but it is {M!r}")
        for name, weight in (weights or {}).items():
            if name not in factors:
                raise unknown_name("factor", name, factors, "the product with these weights")
            if weight != 1:
                factors[name] = Scaled(factors[name], weight)
        object.__setattr__(self, "factors", tuple(factors.items()))

    def __repr__(self) -> str:
        """As it is called."""
        return f"ProductManifold({', '.join(f'{name}={M!r}' for name, M in self.factors)})"

    def __getitem__(self, name: str) -> Manifold:
        """The factor of this name."""
        try:
            return dict(self.factors)[name]
        except KeyError:
            raise unknown_name("factor", name, self.names, repr(self)) from None

    def __getstate__(self) -> dict[str, Any]:
        """The factors alone, without what is cached."""
        return {"factors": self.factors}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the factors."""
        return tuple(name for name, _ in self.factors)

    @cached_property
    def _parts(self) -> tuple[Manifold, ...]:
        return tuple(M for _, M in self.factors)

    @cached_property
    def field(self) -> str:
        """Complex if all factors are."""
        return "complex" if all(M.field == "complex" for M in self._parts) else "real"

    def _layout(self, shapes: tuple[tuple[int, ...], ...]) -> Layout:
        return Layout(shapes, tuple(self.field == "real" and M.field == "complex" for M in self._parts))

    @cached_property
    def _points(self) -> Layout:
        return self._layout(tuple(M.point_shape for M in self._parts))

    @cached_property
    def _vectors(self) -> Layout:
        return self._layout(tuple(M.vector_shape for M in self._parts))

    @cached_property
    def _embedded(self) -> Layout:
        return self._layout(tuple(M.embedding_shape for M in self._parts))

    @cached_property
    def _coordinates(self) -> Layout:
        return Layout(tuple((M.dim,) for M in self._parts), (False,) * len(self._parts))

    @cached_property
    def dim(self) -> int:
        """The sum of dimensions."""
        return sum(M.dim for M in self._parts)

    @cached_property
    def point_shape(self) -> tuple[int, ...]:
        """One axis."""
        return (self._points.size,)

    @cached_property
    def vector_shape(self) -> tuple[int, ...]:
        """One axis."""
        return (self._vectors.size,)

    @cached_property
    def embedding_shape(self) -> tuple[int, ...]:
        """One axis."""
        return (self._embedded.size,)

    @cached_property
    def isometric(self) -> bool:
        """Whether all factors are."""
        return all(M.isometric for M in self._parts)

    @cached_property
    def stored_as_embedded(self) -> bool:
        """Whether all factors are."""
        return all(M.stored_as_embedded for M in self._parts)

    @property
    def injectivity_radius(self) -> float:
        """The least of the factors."""
        return min(M.injectivity_radius for M in self._parts)

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Those of the factors and, with two factors or more, zero: planes across factors are flat."""
        lows, highs = zip(*(M.sectional_curvature_bounds for M in self._parts))
        return (min(lows), max(highs)) if len(lows) == 1 else (min(*lows, 0.0), max(*highs, 0.0))

    @property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # the factors'
        """Those that all factors have in closed form; the norm is the root of the inner product."""
        return frozenset.intersection(*(M.operations for M in self._parts)) - {"norm"}

    @property
    def isometric_transports(self) -> frozenset[str]:  # type: ignore[override]  # the factors'
        """Those under which every factor moves isometrically."""
        return frozenset(
            name
            for name in self._names("transport")
            if all(
                (name if name in M._names("transport") else M.default_transport) in M.isometric_transports
                for M in self._parts
            )
        )

    def has(self, name: str) -> bool:
        """Whether all factors have it."""
        return all(M.has(name) for M in self._parts)

    # ---------------- parts

    def split(self, p: Array) -> tuple[Array, ...]:
        """The parts of a point, in the order of the factors: views of a NumPy array."""
        return self._points.split(p)

    def join(self, *parts: Array, out: Array | None = None) -> Array:
        """The point with these parts; their batches broadcast."""
        return self._points.join(parts, out)

    def split_vector(self, X: Array) -> tuple[Array, ...]:
        """The parts of a tangent vector."""
        return self._vectors.split(X)

    def join_vector(self, *parts: Array, out: Array | None = None) -> Array:
        """The tangent vector with these parts."""
        return self._vectors.join(parts, out)

    def split_embedding(self, Z: Array) -> tuple[Array, ...]:
        """The parts of an array of the embedding, such as a Euclidean gradient."""
        return self._embedded.split(Z)

    def join_embedding(self, *parts: Array, out: Array | None = None) -> Array:
        """The array of the embedding with these parts."""
        return self._embedded.join(parts, out)

    def componentwise(self, f: Callable[..., Any]) -> Componentwise:
        """The function of a point that calls ``f`` with its parts: ``f(R, t)``.

        Further arguments are tangent vectors: a Hessian is called ``f(R, t, X_R, X_t)``.
        """
        return Componentwise(self, f)

    def _factorwise(
        self, functions: Any, inputs: tuple[Layout, ...], arrays: tuple[Array, ...], *rest: Any
    ) -> list[Any]:
        """The values of one function per factor on the parts of the arrays."""
        parts = [layout.split(a) for layout, a in zip(inputs, arrays)]
        return [f(*own, *rest) for f, own in zip(functions, zip(*parts))]

    def _each(self, name: str) -> list[Callable[..., Any]]:
        return [getattr(M, name) for M in self._parts]

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The sum of the inner products of the factors."""
        Xs = self.split_vector(X)
        Ys = Xs if Y is X else self.split_vector(Y)
        return sum([M.inner(*own) for M, *own in zip(self._parts, self.split(p), Xs, Ys, strict=True)])

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squared distances."""
        return safe_sqrt_of(
            sum(d * d for d in self._factorwise(self._each("distance"), (self._points,) * 2, (p, q)))
        )

    def squared_distance(self, p: Array, q: Array) -> Any:
        """The sum of squared distances, each with its own derivative rule."""
        return sum(self._factorwise(self._each("squared_distance"), (self._points,) * 2, (p, q)))

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squares of those of the factors."""
        tolerances = self._factorwise(self._each("coincidence_tolerance"), (self._points,) * 2, (p, q))
        return safe_sqrt_of(sum(a * a for a in tolerances))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The exponential of each factor."""
        return self.join(
            *self._factorwise(self._each("exp"), (self._points, self._vectors), (p, X), t), out=out
        )

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of each factor."""
        return self.join_vector(*self._factorwise(self._each("log"), (self._points,) * 2, (p, q)), out=out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The middle of each factor."""
        return self.join(*self._factorwise(self._each("mid_point"), (self._points,) * 2, (p, q)))

    # ---------------- methods

    @property
    def retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the factors'
        """All names of the factors."""
        return self._table("retraction")

    @property
    def inverse_retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the factors'
        """All names of the factors."""
        return self._table("inverse retraction")

    @property
    def transports(self) -> Mapping[str, str]:  # type: ignore[override]  # the factors'
        """All names of the factors."""
        return self._table("transport")

    @property
    def default_retraction(self) -> Any:
        """The name all factors agree on, or a mapping of factor to name."""
        return self._agreed([M.default_retraction for M in self._parts])

    @property
    def default_inverse_retraction(self) -> Any:
        """The name all factors agree on, or a mapping of factor to name."""
        return self._agreed([M.default_inverse_retraction for M in self._parts])

    @property
    def default_transport(self) -> Any:
        """The name all factors agree on, or a mapping of factor to name."""
        return self._agreed([M.default_transport for M in self._parts])

    def _agreed(self, names: list[Any]) -> Any:
        return names[0] if all(name == names[0] for name in names) else dict(zip(self.names, names))

    def _names(self, kind: str) -> list[str]:
        names = dict.fromkeys(name for M in self._parts for name in M._names(kind))
        if kind == "inverse retraction":
            # to undo a retraction of its name, it must be known to every factor that knows the retraction
            known = [set(M._names("retraction")) - set(M._names(kind)) for M in self._parts]
            names = {name: None for name in names if not any(name in part for part in known)}
        return list(names)

    def _table(self, kind: str) -> Mapping[str, str]:
        return {name: name for name in self._names(kind)}

    def _methods(self, kind: str, method: Any) -> tuple[Any, ...]:
        """What each factor is asked for: the method where it has it, None (its default) elsewhere."""
        if method is None:
            return (None,) * len(self._parts)
        if isinstance(method, Mapping):
            for name in method:
                self[name]
            return tuple(method.get(name) for name in self.names)
        chosen = tuple(method if method in M._names(kind) else None for M in self._parts)
        if all(name is None for name in chosen) or method not in self._names(kind):
            raise unknown_name(kind, method, self._names(kind), repr(self))
        return chosen

    def get_retraction(self, method: Any = None) -> Callable[..., Array]:
        """One retraction per factor; a callable gets the product itself."""
        if callable(method):
            return self._resolved("retraction", method)
        chosen = self._methods("retraction", method)
        return _Retraction(self, tuple(M.get_retraction(m) for M, m in zip(self._parts, chosen)))

    def get_inverse_retraction(self, method: Any = None) -> Callable[..., Array]:
        """One inverse retraction per factor; a callable gets the product itself."""
        if callable(method):
            return self._resolved("inverse retraction", method)
        chosen = self._methods("inverse retraction", method)
        return _InverseRetraction(
            self, tuple(M.get_inverse_retraction(m) for M, m in zip(self._parts, chosen))
        )

    def get_transport(self, method: Any = None) -> Callable[..., Array]:
        """One transport per factor; a callable gets the product itself."""
        if callable(method):
            return self._resolved("transport", method)
        chosen = self._methods("transport", method)
        return _Transport(self, tuple(M.get_transport(m) for M, m in zip(self._parts, chosen)))

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The transport of each factor."""
        if callable(method):
            return super().vector_transport_direction(p, X, d, method=method, out=out)
        chosen = self._methods("transport", method)
        parts = zip(self._parts, self.split(p), self.split_vector(X), self.split_vector(d), chosen)
        return self.join_vector(
            *[M.vector_transport_direction(*own, method=m) for M, *own, m in parts], out=out
        )

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The parallel transport of each factor."""
        layouts = (self._points, self._vectors, self._points)
        return self.join_vector(
            *self._factorwise(self._each("parallel_transport_to"), layouts, (p, X, q)), out=out
        )

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """The parallel transport of each factor."""
        layouts = (self._points, self._vectors, self._vectors)
        return self.join_vector(
            *self._factorwise(self._each("parallel_transport_direction"), layouts, (p, X, d)), out=out
        )

    # ---------------- coordinates and embedding

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of the factors in order."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        values = self._factorwise(self._each("get_coordinates"), (self._points, self._vectors), (p, X))
        return self._coordinates.join(values, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Each factor from its part of the coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return self.join_vector(
            *self._factorwise(self._each("get_vector"), (self._points, self._coordinates), (p, c)), out=out
        )

    def project_point(self, z: Array) -> Array:
        """Each factor."""
        return self.join(*self._factorwise(self._each("project_point"), (self._embedded,), (z,)))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Each factor."""
        return self.join_vector(
            *self._factorwise(self._each("project_vector"), (self._points, self._embedded), (p, Z))
        )

    def tangentialize(self, p: Array, X: Array) -> Array:
        """Each factor."""
        return self.join_vector(
            *self._factorwise(self._each("tangentialize"), (self._points, self._vectors), (p, X))
        )

    def embed_point(self, p: Array) -> Array:
        """Each factor."""
        return self.join_embedding(*self._factorwise(self._each("embed_point"), (self._points,), (p,)))

    def embed_vector(self, p: Array, X: Array) -> Array:
        """Each factor."""
        return self.join_embedding(
            *self._factorwise(self._each("embed_vector"), (self._points, self._vectors), (p, X))
        )

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """Each factor."""
        return self.join_vector(
            *self._factorwise(self._each("riemannian_gradient"), (self._points, self._embedded), (p, G))
        )

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """Each factor; H is the derivative of the whole Euclidean gradient along X."""
        layouts = (self._points, self._embedded, self._embedded, self._vectors)
        return self.join_vector(*self._factorwise(self._each("riemannian_hessian"), layouts, (p, G, H, X)))

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """Each factor."""
        functions = self._each("riemannian_gradient_from_storage")
        return self.join_vector(*self._factorwise(functions, (self._points, self._points), (p, g)))

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """Each factor; h is the derivative of all of g along X."""
        layouts = (self._points, self._points, self._points, self._vectors)
        return self.join_vector(*self._factorwise(self._each("riemannian_hessian_from_storage"), layouts, (p, g, h, X)))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """Each factor."""
        functions = self._each("euclidean_representer")
        return self.join_embedding(*self._factorwise(functions, (self._points, self._vectors), (p, X)))

    def storage_representer(self, p: Array, X: Array) -> Array:
        """Each factor."""
        return self.join(
            *self._factorwise(self._each("storage_representer"), (self._points, self._vectors), (p, X))
        )

    def storage_vector(self, p: Array, X: Array) -> Array:
        """Each factor."""
        return self.join(
            *self._factorwise(self._each("storage_vector"), (self._points, self._vectors), (p, X))
        )

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Each factor."""
        layouts = (self._points, self._vectors, self._embedded)
        return self.join_vector(*self._factorwise(self._each("weingarten"), layouts, (p, X, V)))

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The least of the factors; a name applies to the factors that have it."""
        chosen = self._methods("retraction", retraction)
        return min(M.injectivity_radius_at(part, m) for M, part, m in zip(self._parts, self.split(p), chosen))

    def max_step(self, p: Array, X: Array) -> Any:
        """The least of the factors."""
        steps = self._factorwise(self._each("max_step"), (self._points, self._vectors), (p, X))
        return (
            min(steps)
            if all(isinstance(s, float) for s in steps)
            else np.minimum.reduce(np.broadcast_arrays(*steps))
        )

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent parts."""
        rng = np.random.default_rng(rng)
        return self.join(*[M.random_point(rng, size) for M in self._parts])

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent parts."""
        rng = np.random.default_rng(rng)
        return self.join_vector(*[M.random_vector(part, rng) for M, part in zip(self._parts, self.split(p))])

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless every part is a point; the message names the factor."""
        p = cleared(p, "p", self.point_shape, NotOnManifold)
        for (name, M), part in zip(self.factors, self.split(p)):
            try:
                M.check_point(part, atol)
            except NotOnManifold as error:
                raise NotOnManifold(f"in factor {name} of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless every part is tangent; the message names the factor."""
        X = cleared(X, "X", self.vector_shape, NotTangent)
        for (name, M), point, part in zip(self.factors, self.split(np.asarray(p)), self.split_vector(X)):
            try:
                M.check_vector(point, part, atol)
            except NotTangent as error:
                raise NotTangent(f"in factor {name} of {self!r}: {error}") from None


@dataclass(frozen=True)
class Componentwise:
    """A function of the parts of a point as a function of the point; made by `ProductManifold.componentwise`."""

    manifold: ProductManifold
    function: Callable[..., Any]

    def __call__(self, p: Array, *vectors: Array) -> Any:
        parts = [part for X in vectors for part in self.manifold.split_vector(X)]
        return self.function(*self.manifold.split(p), *parts)


@dataclass(frozen=True)
class _Retraction:
    """A retraction per factor; pickles with them."""

    manifold: ProductManifold
    functions: tuple[Callable[..., Array], ...]

    def __call__(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        M = self.manifold
        return M._points.join(M._factorwise(self.functions, (M._points, M._vectors), (p, X), t), out)


@dataclass(frozen=True)
class _InverseRetraction:
    """An inverse retraction per factor; pickles with them."""

    manifold: ProductManifold
    functions: tuple[Callable[..., Array], ...]

    def __call__(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        M = self.manifold
        return M._vectors.join(M._factorwise(self.functions, (M._points, M._points), (p, q)), out)


@dataclass(frozen=True)
class _Transport:
    """A transport per factor; pickles with them."""

    manifold: ProductManifold
    functions: tuple[Callable[..., Array], ...]

    def __call__(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        M = self.manifold
        return M._vectors.join(
            M._factorwise(self.functions, (M._points, M._vectors, M._points), (p, X, q)), out
        )
