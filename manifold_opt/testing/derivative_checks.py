"""Conformance checks of manifolds that differentiate: conversions, Weingarten map, the generic road, distances."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.manifolds import Manifold, fallbacks
from manifold_opt.testing.samples import (
    Array,
    Call,
    Sample,
    ambient,
    calls,
    close,
    require,
    sample,
    typical_length,
    unit_vector,
)


def slope(f: Callable[[float], Any], h: float = 2e-3) -> Any:
    """The derivative at zero, by fourth-order central differences."""
    return (f(-2 * h) - 8.0 * f(-h) + 8.0 * f(h) - f(2 * h)) / (12 * h)


def bend(f: Callable[[float], Any], h: float = 8e-3) -> Any:
    """The second derivative at zero, by sixth-order central differences."""
    ends = [f(k * h) + f(-k * h) for k in (1, 2, 3)]
    return (1.5 * ends[0] - 0.15 * ends[1] + ends[2] / 90.0 - 49.0 / 18.0 * f(0.0)) / h**2


def _product(A: Array, B: Array) -> float:
    return float(np.sum(np.real(np.conj(A) * B)))


class _Quartic:
    """A test function ``<A, z> + <B, z>^2 / 2 + <C z, z> / 2 + |z|^4 / 24`` of arrays z, with its derivatives."""

    def __init__(self, M: Manifold, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.A, self.B, self.C = (ambient(M, shape, rng) for _ in range(3))
        self.C = self.C.real

    def __call__(self, z: Array) -> float:
        n = _product(z, z)
        return (
            _product(self.A, z) + 0.5 * _product(self.B, z) ** 2 + 0.5 * _product(self.C * z, z) + n * n / 24
        )

    def gradient(self, z: Array) -> Array:
        return self.A + _product(self.B, z) * self.B + self.C * z + _product(z, z) / 6 * z

    def hessian(self, z: Array, Z: Array) -> Array:
        return _product(self.B, Z) * self.B + self.C * Z + (_product(z, z) * Z + 2 * _product(z, Z) * z) / 6


def check_gradient_conversion(M: Manifold, rng: Any = 0) -> None:
    """Converted Euclidean gradients give the derivative along curves, from the embedding and from storage."""
    rng = np.random.default_rng(rng)
    s = sample(M, rng)
    z = M.embed_point(s.p)
    f = _Quartic(M, M.embedding_shape, rng)
    X = M.riemannian_gradient(s.p, f.gradient(z))
    M.check_vector(s.p, X)
    measured = slope(lambda t: f(M.embed_point(M.retract(s.p, s.Y, t))))
    scale = 1.0 + abs(measured)
    close(f"{M!r}.riemannian_gradient", M.inner(s.p, X, s.Y) / scale, measured / scale, 1e-8)
    f = _Quartic(M, M.point_shape, rng)
    X = M.riemannian_gradient_from_storage(s.p, f.gradient(s.p))
    measured = slope(lambda t: f(M.retract(s.p, s.Y, t)))
    scale = 1.0 + abs(measured)
    close(f"{M!r}.riemannian_gradient_from_storage", M.inner(s.p, X, s.Y) / scale, measured / scale, 1e-8)


def check_hessian_conversion(M: Manifold, rng: Any = 0) -> None:
    """Converted Hessians are symmetric and equal the second derivative along geodesics.

    Without an exponential: on an isometrically embedded manifold, the projected derivative of the gradient.
    """
    rng = np.random.default_rng(rng)
    s = sample(M, rng)
    z = M.embed_point(s.p)
    f = _Quartic(M, M.embedding_shape, rng)
    G = f.gradient(z)

    def hessian(X: Array) -> Array:
        return M.riemannian_hessian(s.p, G, f.hessian(z, M.embed_vector(s.p, X)), X)

    X, Y = s.X / M.norm(s.p, s.X), s.Y / M.norm(s.p, s.Y)
    HX, HY = hessian(X), hessian(Y)
    M.check_vector(s.p, HX, 1e-9 * (1.0 + float(np.max(np.abs(HX)))))
    size = 1.0 + abs(M.norm(s.p, HX)) + abs(M.norm(s.p, HY))
    close(
        f"{M!r}.riemannian_hessian is symmetric", M.inner(s.p, HX, Y) / size, M.inner(s.p, X, HY) / size, 1e-9
    )
    close(f"{M!r}.riemannian_hessian is linear", hessian(X - 2.0 * Y) / size, (HX - 2.0 * HY) / size, 1e-9)
    if M.has("exp"):
        for V in (X, Y, X + Y):
            measured = bend(lambda t, V=V: f(M.embed_point(M.exp(s.p, V, t))))  # type: ignore[misc]
            size = 1.0 + abs(measured)
            close(
                f"{M!r}.riemannian_hessian along geodesics",
                M.inner(s.p, hessian(V), V) / size,
                measured / size,
                1e-7,
            )
    elif M.isometric:

        def gradient(t: float) -> Array:
            q = M.retract(s.p, X, t)
            return M.embed_vector(q, M.riemannian_gradient(q, f.gradient(M.embed_point(q))))

        measured = M.project_vector(s.p, slope(gradient))
        close(f"{M!r}.riemannian_hessian by differences of the gradient", HX / size, measured / size, 1e-8)


def check_weingarten(M: Manifold, rng: Any = 0) -> None:
    """The Weingarten map is the derivative of the projection."""
    s = sample(M, rng)
    V = s.Z - M.embed_vector(s.p, M.project_vector(s.p, s.Z))
    W = M.weingarten(s.p, s.X, V)
    M.check_vector(s.p, W, 1e-9)
    if M.isometric:
        close(f"{M!r}.weingarten", W, fallbacks.weingarten(M, s.p, s.X, V), 1e-9)


# ---------------- the generic road


def _gradient(f: Callable[..., Any], argument: int = 0) -> Callable[..., Array]:
    """The reverse-mode gradient, without the warning where the function rightly does not depend on the argument."""
    import autograd

    def gradient(*arguments: Array) -> Array:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Output seems independent of input")
            return autograd.grad(f, argument)(*arguments)

    return gradient


_NOT_DIFFERENTIATED = frozenset({"distance", "squared_distance", "zero_vector"})


def _curves(M: Manifold, s: Sample, rng: np.random.Generator) -> Callable[[float], Sample]:
    """A sample that moves smoothly with t on the manifold, tangent vectors staying tangent."""
    V = unit_vector(M, s.p, rng)
    W = unit_vector(M, s.q, rng)
    moves = {name: ambient(M, getattr(s, name).shape, rng) for name in ("z", "Z", "H", "g")}
    dc = rng.standard_normal(s.c.shape)
    embedded = {name: M.embed_vector(s.p, getattr(s, name)) for name in ("X", "Y", "d")}

    @functools.cache  # differences take the same few times for every operation
    def at(t: float) -> Sample:
        p = M.retract(s.p, V, t)
        vectors = {name: M.project_vector(p, Z) for name, Z in embedded.items()}
        others = {name: getattr(s, name) + t * move for name, move in moves.items()}
        return Sample(p=p, q=M.retract(s.q, W, t), c=s.c + t * dc, **vectors, **others)

    return at


def check_generic_road(M: Manifold, rng: Any = 0) -> None:
    """Closed forms give the same numbers on autograd boxes as on arrays, and differentiate right; at zero too."""
    rng = np.random.default_rng(rng)
    s = sample(M, rng)
    still = sample(M, rng)
    still.X, still.d, still.c = 0.0 * s.X, 0.0 * s.d, 0.0 * s.c
    still.p = still.q = s.p
    still.Y = s.Y
    known = (
        M.operations | {"retract", "inverse_retract", "vector_transport_to"} if M.operations else frozenset()
    )
    for where, base in (("", s), (" at zero", still)):
        curve = _curves(M, base, rng)
        for call in calls(M):
            fallback = call.operation not in known or call.method == "iterative"
            if not fallback and call.operation not in _NOT_DIFFERENTIATED and not (where and call.operation == "norm"):
                _check_on_boxes(M, call, base, curve, rng, where)


def _check_on_boxes(
    M: Manifold, call: Call, base: Sample, curve: Callable[[float], Sample], rng: np.random.Generator, where: str
) -> None:
    import autograd.numpy as anp

    W = ambient(M, call.shape(M), rng)
    what = f"{M!r}.{call.label}{where} on autograd boxes"

    def value(*arrays: Array) -> Any:
        result = call(M, Sample(**{**vars(base), **dict(zip(call.arguments, arrays, strict=True))}))
        plain = result
        while hasattr(plain, "_value"):
            plain = plain._value
        require(np.asarray(plain).dtype != object, f"{what} builds an object array: plain NumPy met a box")
        close(what, plain, call(M, base), 1e-13)
        return anp.sum(anp.real(np.conj(W) * result))

    arrays = [getattr(base, name) for name in call.arguments]
    partials = [np.conj(_gradient(value, i)(*arrays)) for i in range(len(arrays))]

    def rate(name: str) -> Array:
        return slope(lambda t: getattr(curve(t), name))

    total = sum(_product(G, rate(name)) for G, name in zip(partials, call.arguments, strict=True))
    close(f"{what}, derivative", total, slope(lambda t: _product(W, np.asarray(call(M, curve(t))))), 1e-7)


def check_distance_derivatives(M: Manifold, rng: Any = 0) -> None:
    """Distances have log-based derivatives on autograd boxes: both orders, both points, zero at p = q, batched."""
    if not (M.has("log") and M.has("exp") and M.operations):
        return
    rng = np.random.default_rng(rng)
    s = sample(M, rng)
    for x, y in ((s.p, s.q), (s.q, s.p)):
        X, d = M.log(x, y), M.distance(x, y)
        _check_first(M, M.distance, x, y, -X / d)
        _check_first(M, M.squared_distance, x, y, -2.0 * X)
    _check_second(M, s)
    _check_broadcast(M, s, rng)


def _check_first(M: Manifold, f: Callable[[Array, Array], Any], x: Array, y: Array, expected: Array) -> None:
    what = f"{M!r}: gradient of {f.__name__}"

    def converted(g: Callable[[Array], Any], at: Array) -> Array:
        return M.riemannian_gradient_from_storage(at, np.conj(_gradient(g)(at)))

    close(what, converted(lambda z: f(z, y), x), expected, 1e-10)
    close(f"{what}, other side", converted(lambda z: f(y, z), x), expected, 1e-10)
    close(f"{what} at p = q", converted(lambda z: f(z, y), y), 0.0 * expected, 1e-12)
    close(f"{what} of (p, p)", converted(lambda z: f(z, z), x), 0.0 * expected, 1e-12)


def _check_second(M: Manifold, s: Sample) -> None:
    if not M.stored_as_embedded or M.field == "complex":
        return
    X = s.X / M.norm(s.p, s.X)
    for name in ("squared_distance", "distance"):
        f = getattr(M, name)
        for q, where in ((s.q, ""), (s.p, " at p = q")):
            if name == "distance" and where:
                continue
            g = _gradient(lambda x: f(x, q))  # noqa: B023
            direction = M.storage_vector(s.p, X)
            h = _gradient(lambda x: _boxed_sum(g(x) * direction))  # noqa: B023
            product = h(s.p)
            require(np.all(np.isfinite(product)), f"{M!r}: second derivative of {name}{where} is not finite")
            HX = M.riemannian_hessian(s.p, g(s.p), product, X)
            measured = bend(lambda t: f(M.exp(s.p, X, t), q), 2e-2 * typical_length(M, s.p))  # noqa: B023
            close(f"{M!r}: second derivative of {name}{where}", M.inner(s.p, HX, X), measured, 1e-5)


def _boxed_sum(x: Any) -> Any:
    import autograd.numpy as anp

    return anp.sum(x)


def _check_broadcast(M: Manifold, s: Sample, rng: np.random.Generator) -> None:
    import autograd

    q = np.stack([M.retract(s.p, s.X), M.retract(s.p, s.Y)])
    f = lambda x, y: _boxed_sum(M.squared_distance(x, y))
    G = _gradient(f, 0)(s.p, q)
    one_by_one = sum(_gradient(f, 0)(s.p, y) for y in q)
    close(f"{M!r}: gradient of squared_distance, one point and a batch", G, one_by_one, 1e-12)
    G = _gradient(f, 1)(s.p, q)
    close(f"{M!r}: its gradient in the batch", G, np.stack([_gradient(f, 1)(s.p, y) for y in q]), 1e-12)
    if M.field == "complex":
        return
    V = M.storage_vector(s.p, s.d)
    _, push = autograd.make_jvp(lambda x: M.distance(x, q))(s.p)(V)
    pulled = [float(np.sum(_gradient(lambda x, y=y: M.distance(x, y))(s.p) * V)) for y in q]
    close(f"{M!r}: forward mode of distance", push, np.array(pulled), 1e-12)
