"""Conformance checks of manifolds: algebra, shapes, batches, methods, values and errors."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np

from manifold_opt.manifolds import Manifold, NotOnManifold, NotTangent, PowerManifold, ProductManifold
from manifold_opt.manifolds.identified import Identified
from manifold_opt.manifolds.wrapped import Wrapped
from manifold_opt.testing.samples import (
    Array,
    Call,
    ConformanceError,
    ambient,
    calls,
    close,
    require,
    sample,
    typical_length,
    unit_vector,
)

# What each operation is checked by; a declared operation that is missing here is an error of `check_operations`.
_CHECKED_OTHERWISE = frozenset(
    "random_point random_vector check_point check_vector get_basis geodesic injectivity_radius injectivity_radius_at "
    "sectional_curvature_bounds max_step retract inverse_retract vector_transport_to coincidence_tolerance "
    "euclidean_direction riemannian_hessian_from_storage".split()
)


def check_operations(M: Manifold, rng: Any = 0) -> None:
    """Every declared closed form is the class's own, not an inherited fallback, and some check exercises it."""
    exercised = {call.operation for call in calls(M)} | _CHECKED_OTHERWISE
    for name in sorted(M.operations):
        require(hasattr(Manifold, name), f"{M!r} declares {name!r}, which is not an operation of manifolds")
        require(M.has(name), f"{M!r} declares {name!r}, but has({name!r}) is False")
        require(name in exercised, f"{M!r} declares {name!r}, which no check exercises")
        require(
            getattr(type(M), name) is not getattr(Manifold, name),
            f"{M!r} declares {name!r} as a closed form, but inherits the fallback",
        )
    for name in ("exp", "log", "parallel_transport_to", "distance"):
        own = getattr(type(M), name) is not getattr(Manifold, name)
        plain = not isinstance(M, (PowerManifold, ProductManifold))
        require(
            not own or not plain or not M.has(name) or name in M.operations,
            f"{M!r} defines {name!r} without declaring it in operations",
        )


def _converted(M: Manifold, a: Array, single: bool) -> Array:
    return a.astype(np.complex64 if a.dtype.kind == "c" else np.float32) if single else a


def check_shapes_and_dtypes(M: Manifold, rng: Any = 0) -> None:
    """Results have the promised shape, keep the precision of the arguments, and scalars of one point are floats."""
    for single in (False, True):
        s = sample(M, rng)
        small = s.map(lambda a, single=single: _converted(M, a, single))  # type: ignore[misc]
        precision = np.float32 if single else np.float64
        for call in calls(M):
            value = call(M, small)
            what = f"{M!r}.{call.label} in {precision.__name__}"
            if call.kind == "scalar":
                kinds = float if call.operation in M.operations else (float, np.floating)
                require(isinstance(value, kinds), f"{what} returns {type(value).__name__}, not a float")
            else:
                require(type(value) is np.ndarray, f"{what} returns {type(value).__name__}, not an array")
                require(
                    value.shape == call.shape(M), f"{what}: shape {value.shape}, expected {call.shape(M)}"
                )
                require(value.real.dtype == precision, f"{what}: dtype {value.dtype}")
            if single:
                close(
                    f"{what} against double precision",
                    value,
                    call(M, s),
                    2e-3 if "iterative" in call.label else 1e-4,
                )
    t = np.float64(0.5)
    q = M.retract(small.p, small.X, t)
    require(q.real.dtype == np.float32, f"{M!r}.retract with a float64 scalar t turns float32 into {q.dtype}")


def check_batches(M: Manifold, rng: Any = 0) -> None:
    """A batch gives what a loop over its members gives, also where one point meets a batch of vectors."""
    size = (2, 3)
    s = sample(M, rng, size)
    for call in calls(M):
        together = np.asarray(call(M, s))
        what = f"{M!r}.{call.label} on a batch"
        require(
            together.shape == size + call.shape(M),
            f"{what}: shape {together.shape}, expected {size + call.shape(M)}",
        )
        for i in np.ndindex(*size):
            one = s.map(lambda a, i=i: a[i])  # type: ignore[misc]
            close(f"{what}, member {i}", together[i], call(M, one), 1e-11)
        if call.operation in ("riemannian_hessian", "weingarten") or len(call.arguments) < 2:
            continue
        mixed = s.map(lambda a: a[0, 0])
        changed = call.arguments[-1]
        if changed != "q":
            wide = [getattr(mixed, changed) * f for f in (0.5, 1.0)]
        else:
            wide = [M.retract(mixed.p, mixed.d, f) for f in (0.5, 1.0)]
        expected = [call(M, _with(mixed, changed, w)) for w in wide]
        close(
            f"{what} of {changed} at one point",
            call(M, _with(mixed, changed, np.stack(wide))),
            np.stack(expected),
            1e-11,
        )
    times = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    for name in ["exp", "retract"] if M.has("exp") else ["retract"]:
        q = getattr(M, name)(s.p, s.X, times)
        for i in np.ndindex(*size):
            close(
                f"{M!r}.{name} at a batch of times",
                q[i],
                getattr(M, name)(s.p[i], s.X[i], float(times[i])),
                1e-11,
            )
    points = M.random_point(rng, (4,))
    require(points.shape == (4, *M.point_shape), f"{M!r}.random_point(size=(4,)) has shape {points.shape}")
    basis = M.get_basis(s.p)
    require(
        basis.shape == (*size, M.dim, *M.vector_shape), f"{M!r}.get_basis on a batch has shape {basis.shape}"
    )


def _with(s: Any, name: str, value: Array) -> Any:
    other = copy.copy(s)
    setattr(other, name, value)
    return other


def check_out(M: Manifold, rng: Any = 0) -> None:
    """``out=`` is written and returned, may be any argument of the right shape; arguments are left alone."""
    for size in ((), (3,)):
        s = sample(M, rng, size)
        for call in calls(M):
            before = s.map(np.copy)
            expected = call(M, s)
            for name, value in vars(before).items():
                require(
                    np.array_equal(value, getattr(s, name)), f"{M!r}.{call.label} changes its argument {name}"
                )
            if call.takes_out:
                _check_out(M, call, s, expected)


def _check_out(M: Manifold, call: Call, s: Any, expected: Array) -> None:
    buffer = np.full_like(expected, np.nan)
    require(call(M, s, buffer) is buffer, f"{M!r}.{call.label} does not return out")
    close(f"{M!r}.{call.label} into out", buffer, expected, 1e-14)
    for name in call.arguments:
        other = s.map(np.copy)
        target = getattr(other, name)
        if target.shape == expected.shape and target.dtype == expected.dtype:
            call(M, other, target)
            close(f"{M!r}.{call.label} with out={name}", target, expected, 1e-14)


def check_exp_log(M: Manifold, rng: Any = 0) -> None:
    """Exponential and logarithm invert each other, geodesics have constant speed, distances are lengths of logs."""
    if not M.has("exp"):
        return
    s = sample(M, rng, (5,))
    q = M.exp(s.p, s.X)
    M.check_point(q)
    close(f"{M!r}.exp of zero", M.exp(s.p, M.zero_vector(s.p)), s.p, 1e-14)
    close(f"{M!r}.exp(p, X, t)", M.exp(s.p, s.X, 0.3), M.exp(s.p, 0.3 * s.X), 1e-13)
    close(
        f"{M!r}.geodesic", M.geodesic(s.p[0], s.X[0], np.array([0.0, 1.0])), np.stack([s.p[0], q[0]]), 1e-13
    )
    if not M.has("log"):
        return
    X = M.log(s.p, q)
    M.check_vector(s.p, X)
    close(f"{M!r}.log after exp", X, s.X, 1e-12)
    end = M.exp(s.p, M.log(s.p, s.q))
    if M.default_retraction == "exponential":
        close(f"{M!r}.exp after log", end, s.q, 1e-12)
    else:  # which leads to the same point, but on a quotient perhaps to another array of it
        close(f"{M!r}.exp after log, distance", M.distance(end, s.q), np.zeros(len(s.p)), 1e-12)
    close(f"{M!r}.log(p, p)", M.log(s.p, s.p), M.zero_vector(s.p), 1e-14 * _size(s.p))
    length = M.norm(s.p, s.X)
    close(f"{M!r}.distance along a geodesic", M.distance(s.p, M.exp(s.p, s.X, 0.4)), 0.4 * length, 1e-12)
    close(f"{M!r}.squared_distance", M.squared_distance(s.p, q), length**2, 1e-12)
    close(f"{M!r}.distance is symmetric", M.distance(q, s.p), M.distance(s.p, q), 1e-12)
    close(f"{M!r}.distance(p, p)", M.distance(s.p, s.p), np.zeros(5), 1e-14 * _size(s.p))
    middle = M.mid_point(s.p, q)
    close(f"{M!r}.mid_point", middle, M.exp(s.p, s.X, 0.5), 1e-12)


def _size(p: Array) -> float:
    return max(1.0, float(np.max(np.abs(p)))) ** 2


def retraction_order(M: Manifold, name: str, rng: Any = 0) -> float:
    """The order to which a retraction agrees with the exponential, by the slope of the error; inf when it is exact.

    Without an exponential the comparison is with the straight line in the embedding, which shows order 1
    only.
    """
    rng = np.random.default_rng(rng)
    p = M.random_point(rng)
    X = unit_vector(M, p, rng) * typical_length(M, p)
    times = np.geomspace(0.01, 0.15, 7)
    errors = []
    for t in times:
        q = M.embed_point(M.retract(p, X, float(t), method=name))
        line = (
            M.embed_point(M.exp(p, X, float(t)))
            if M.has("exp")
            else M.embed_point(p) + t * M.embed_vector(p, X)
        )
        errors.append(float(np.linalg.norm(q - line)))
    if max(errors) <= 1e-13 * _size(p):
        return math.inf
    slope = np.polyfit(np.log(times), np.log(np.maximum(errors, 1e-300)), 1)[0]
    return float(slope) - 1.0


def check_retractions(M: Manifold, rng: Any = 0) -> None:
    """Every retraction stays on the manifold, is the identity at zero and of first order at least."""
    s = sample(M, rng)
    for name in M._names("retraction"):
        method = None if name == "own" else name
        what = f"{M!r}.retract[{name}]"
        q = M.retract(s.p, s.X, method=method)
        M.check_point(q)
        close(f"{what} of zero", M.retract(s.p, M.zero_vector(s.p), method=method), s.p, 1e-14)
        order = retraction_order(M, name, rng) if method else 1.0
        require(
            order >= 0.85, f"{what} is no retraction: its error shrinks with order {order:.2f}, not 1 or more"
        )
        h = 1e-4
        ends = [M.embed_point(M.retract(s.p, s.X, t, method=method)) for t in (h, -h)]
        close(f"{what}, derivative at zero", (ends[0] - ends[1]) / (2 * h), M.embed_vector(s.p, s.X), 1e-6)
        resolved = M.get_retraction(method)
        close(f"{what} resolved once", resolved(s.p, s.X, 0.5), M.retract(s.p, s.X, 0.5, method=method), 0.0)
        pickle.loads(pickle.dumps(resolved))
    length = typical_length(M, s.p)
    own = M.get_retraction(_half_way)
    close(f"{M!r} with a callable retraction", own(s.p, s.X), M.retract(s.p, s.X, 0.5), 0.0)
    require(length > 0, f"{M!r} has injectivity radius 0")


def _half_way(M: Manifold, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
    """A method object: half of the default retraction."""
    return M.retract(p, X, 0.5 * t, out=out)


def check_inverse_retractions(M: Manifold, rng: Any = 0) -> None:
    """Every inverse retraction undoes the retraction of its name; the default one undoes the default."""
    s = sample(M, rng, (3,))
    forward = {name: name for name in M._names("retraction") if name != "own"}
    pairs = [(forward.get(name), name) for name in M._names("inverse retraction") if name in forward]
    for retraction, inverse in [*pairs, (None, None)]:
        what = f"{M!r}.inverse_retract[{inverse or 'default'}]"
        q = M.retract(s.p, s.X, method=retraction)
        X = M.inverse_retract(s.p, q, method=inverse)
        M.check_vector(s.p, X)
        close(f"{what} after the retraction", X, s.X, 1e-11)
        close(f"the retraction after {what}", M.retract(s.p, X, method=retraction), q, 1e-12)
    close(f"{M!r}.inverse_retract[iterative]", M.inverse_retract(s.p, s.q), _iterative(M, s.p, s.q), 1e-9)


def _iterative(M: Manifold, p: Array, q: Array) -> Array:
    return M.inverse_retract(
        p, q, method="iterative" if "iterative" in M._names("inverse retraction") else None
    )


def check_transports(M: Manifold, rng: Any = 0) -> None:
    """Transports are linear, tangent at the other end, the identity in place, and isometric where they say so."""
    s = sample(M, rng, (3,))
    for name in M._names("transport"):
        what = f"{M!r}.vector_transport_to[{name}]"
        X, Y = (M.vector_transport_to(s.p, V, s.q, method=name) for V in (s.X, s.Y))
        M.check_vector(s.q, X)
        both = M.vector_transport_to(s.p, 2.0 * s.X - s.Y, s.q, method=name)
        close(f"{what} is linear", both, 2.0 * X - Y, 1e-12)
        close(f"{what} to the same point", M.vector_transport_to(s.p, s.X, s.p, method=name), s.X, 1e-12)
        if name in M.isometric_transports:
            close(f"{what} keeps inner products", M.inner(s.q, X, Y), M.inner(s.p, s.X, s.Y), 1e-12)
        q = M.retract(s.p, s.d)
        along = M.vector_transport_direction(s.p, s.X, s.d, method=name)
        if M.default_retraction == "exponential" or name != "parallel":
            close(f"{what} along a direction", along, M.vector_transport_to(s.p, s.X, q, method=name), 1e-11)
    if M.has("parallel_transport_to") and M.has("exp") and M.has("log"):
        _check_parallel(M, s)


def _check_parallel(M: Manifold, s: Any) -> None:
    q = M.exp(s.p, s.d)
    there = M.parallel_transport_to(s.p, s.X, q)
    close(f"{M!r}.parallel_transport_to and back", M.parallel_transport_to(q, there, s.p), s.X, 1e-12)
    close(
        f"{M!r}: a geodesic transports its velocity",
        M.parallel_transport_to(s.p, s.d, q),
        -M.log(q, s.p),
        1e-12,
    )
    twice = M.parallel_transport_direction(q, there, M.parallel_transport_to(s.p, s.d, q))
    close(
        f"{M!r}.parallel_transport_direction in two halves",
        M.parallel_transport_direction(s.p, s.X, 2.0 * s.d),
        twice,
        1e-11,
    )
    if M.has("injectivity_radius") and math.isfinite(M.injectivity_radius):
        far = s.d * (1.5 * M.injectivity_radius / typical_length(M))
        end, X, Y = M.exp(s.p, far), *(M.parallel_transport_direction(s.p, V, far) for V in (s.X, s.Y))
        M.check_vector(end, X)
        close(
            f"{M!r}.parallel_transport_direction beyond the cut locus",
            M.inner(end, X, Y),
            M.inner(s.p, s.X, s.Y),
            1e-11,
        )


def check_coordinates(M: Manifold, rng: Any = 0) -> None:
    """Default coordinates are an isometry to R^dim and agree with the basis; a basis of the user's works too."""
    rng = np.random.default_rng(rng)
    s = sample(M, rng)
    c = M.get_coordinates(s.p, s.X)
    X = M.get_vector(s.p, s.c)
    M.check_vector(s.p, X)
    close(f"{M!r}.get_vector after get_coordinates", M.get_vector(s.p, c), s.X, 1e-13)
    close(f"{M!r}.get_coordinates after get_vector", M.get_coordinates(s.p, X), s.c, 1e-13)
    close(
        f"{M!r}: coordinates are isometric",
        float(c @ M.get_coordinates(s.p, s.Y)),
        M.inner(s.p, s.X, s.Y),
        1e-13,
    )
    basis = M.get_basis(s.p)
    gram = np.array([[M.inner(s.p, a, b) for b in basis] for a in basis]).reshape(M.dim, M.dim)
    close(f"{M!r}.get_basis is orthonormal", gram, np.eye(M.dim), 1e-12)
    close(f"{M!r}.get_basis and get_vector", np.tensordot(s.c, basis, axes=1), X, 1e-12)
    mixed = np.tensordot(rng.standard_normal((M.dim, M.dim)) + 3.0 * np.eye(M.dim), basis, axes=1)
    in_mixed = M.get_coordinates(s.p, s.X, mixed)
    close(f"{M!r}: coordinates in a given basis", M.get_vector(s.p, in_mixed, mixed), s.X, 1e-9)


def check_embedding(M: Manifold, rng: Any = 0) -> None:
    """Projections undo embeddings and are orthogonal; embeddings and storage have the right derivatives."""
    rng = np.random.default_rng(rng)
    s = sample(M, rng, (3,))
    close(
        f"{M!r}: project_vector undoes embed_vector",
        M.project_vector(s.p, M.embed_vector(s.p, s.X)),
        s.X,
        1e-13,
    )
    close(f"{M!r}: tangentialize keeps tangent vectors", M.tangentialize(s.p, s.X), s.X, 1e-13)
    P = M.project_vector(s.p, s.Z)
    M.check_vector(s.p, P)
    rest, Y = s.Z - M.embed_vector(s.p, P), M.embed_vector(s.p, s.Y)
    axes = tuple(range(-len(M.embedding_shape), 0))
    close(
        f"{M!r}: project_vector is orthogonal",
        np.sum(np.real(np.conj(rest) * Y), axis=axes),
        np.zeros(3),
        1e-13,
    )
    noise = 1e-7 * ambient(M, M.vector_shape, rng, (3,))
    M.check_vector(s.p, M.tangentialize(s.p, s.X + noise))
    if M.has("project_point"):
        close(f"{M!r}: project_point undoes embed_point", M.project_point(M.embed_point(s.p)), s.p, 1e-13)
        M.check_point(M.project_point(M.embed_point(s.p) + 0.01 * s.Z))
    h = 1e-4
    ends = [M.retract(s.p, s.X, t) for t in (h, -h)]
    slope = (M.embed_point(ends[0]) - M.embed_point(ends[1])) / (2 * h)
    close(f"{M!r}: embed_vector is the derivative of embed_point", slope, M.embed_vector(s.p, s.X), 1e-6)
    close(f"{M!r}: storage_vector", (ends[0] - ends[1]) / (2 * h), M.storage_vector(s.p, s.X), 1e-6)
    G = M.euclidean_representer(s.p, s.X)
    close(
        f"{M!r}.euclidean_representer",
        np.sum(np.real(np.conj(G) * Y), axis=axes),
        M.inner(s.p, s.X, s.Y),
        1e-12,
    )
    close(f"{M!r}: riemannian_gradient undoes the representer", M.riemannian_gradient(s.p, G), s.X, 1e-12)
    g = M.storage_representer(s.p, s.X)
    close(
        f"{M!r}: the gradient from storage undoes its representer",
        M.riemannian_gradient_from_storage(s.p, g),
        s.X,
        1e-11,
    )
    if M.frobenius_scale is not None:
        axes = tuple(range(-len(M.vector_shape), 0))
        plain = M.frobenius_scale * np.sum(np.real(np.conj(s.X) * s.Y), axis=axes)
        close(f"{M!r}.frobenius_scale tells the inner product", plain, M.inner(s.p, s.X, s.Y), 1e-13)


def check_radii(M: Manifold, rng: Any = 0) -> None:
    """Radii and curvature bounds are consistent numbers, and ``max_step`` scales with the length of the direction."""
    s = sample(M, rng)
    if M.has("injectivity_radius"):
        require(M.injectivity_radius >= 0, f"{M!r}.injectivity_radius is {M.injectivity_radius}")
        require(
            M.injectivity_radius_at(s.p) >= M.injectivity_radius,
            f"{M!r}.injectivity_radius_at is below the global one",
        )
    if M.has("sectional_curvature_bounds"):
        low, high = M.sectional_curvature_bounds
        require(low <= high, f"{M!r}.sectional_curvature_bounds are {low}, {high}")
        if M.has("exp") and M.has("log"):
            _check_curvature(M, s, low, high)
    step = M.max_step(s.p, s.X)
    require(
        (step > 0 and math.isclose(M.max_step(s.p, 2.0 * s.X), step / 2)) or step == math.inf,
        f"{M!r}.max_step is {step}",
    )
    require(M.max_step(s.p, M.zero_vector(s.p)) == math.inf, f"{M!r}.max_step of zero is finite")


def _check_curvature(M: Manifold, s: Any, low: float, high: float) -> None:
    """Geodesics spread as the curvature bounds allow.

    For unit X, Y at angle a, ``d(exp tX, exp tY)^2 = |X-Y|^2 t^2 - K sin(a)^2 t^4 / 3 + O(t^5)``; opposite
    signs of both cancel t^5.
    """
    X = s.X / M.norm(s.p, s.X)
    Y = s.Y - M.inner(s.p, s.Y, X) * X
    if M.norm(s.p, Y) < 1e-8:
        return
    Y = Y / M.norm(s.p, Y)
    t = 0.05
    squared = 0.5 * sum(
        M.distance(M.exp(s.p, X, sign * t), M.exp(s.p, Y, sign * t)) ** 2 for sign in (1.0, -1.0)
    )
    K = (2.0 * t**2 - squared) * 3.0 / t**4
    slack = 0.02 * (1.0 + max(abs(low), abs(high)))
    require(
        low - slack <= K <= high + slack,
        f"{M!r} has sectional curvature {K:.4f}, outside its bounds {low}, {high}",
    )


def check_drift(M: Manifold, rng: Any = 0, steps: int | None = None) -> None:
    """Over many small steps of every retraction, points satisfy their constraint to 8 eps.

    One point takes `steps` steps of the default retraction and of the exponential, a fifth of that of the others, and
    ten points together, which take the road of batches, a fifth. By default 500, which is enough: rounding that stays
    and adds up, an eps at every step, passes 8 eps after 64 of them even where signs are random. Powers, products and
    rearrangements of other manifolds take a fifth of all that; what they are made of takes the full number itself.
    """
    if steps is None:
        steps = 100 if isinstance(M, (Identified, PowerManifold, ProductManifold, Wrapped)) else 500
    for name in M._names("retraction"):
        method = None if name == "own" else name
        important = method in (None, M.default_retraction, "exponential")
        _check_walk(M, method, np.random.default_rng(rng), steps if important else steps // 5, ())
        _check_walk(M, method, np.random.default_rng(rng), steps // 5, (10,))


def _check_walk(
    M: Manifold, method: str | None, rng: np.random.Generator, steps: int, size: tuple[int, ...]
) -> None:
    retract = M.get_retraction(method)
    closed = "get_vector" in M.operations
    noise = 0.1 * (
        rng.standard_normal((50, *size, M.dim)) if closed else ambient(M, M.embedding_shape, rng, (50, *size))
    )
    p = M.random_point(rng, size)
    start = M.embed_point(p)
    normal = float(np.max(np.abs(M.project_vector(p, start)))) <= 1e-10 * float(np.max(np.abs(start)))
    for k in range(1, steps + 1):
        X = M.get_vector(p, noise[k % 50]) if closed else M.project_vector(p, noise[k % 50])
        if not closed and not M.isometric:
            # where the metric is another one than that of the noise, steps of the usual length
            length = np.maximum(np.asarray(M.norm(p, X)) / (0.1 * math.sqrt(M.dim)), 1.0)
            X = X / length.reshape(length.shape + (1,) * len(M.vector_shape))
        if k % 2:
            # every other step turns towards the start, so that non-compact manifolds are not left
            home = _homewards(M, p, start)
            along = np.asarray(M.inner(p, X, home))
            X = X * np.where(along < 0.0, -1.0, 1.0).reshape(along.shape + (1,) * len(M.vector_shape))
            if _without_bounds(M):
                # volume grows exponentially there, and half of the directions are not enough
                length = np.maximum(np.asarray(M.norm(p, home)) / (0.1 * math.sqrt(M.dim)), 1.0)
                X = home / length.reshape(length.shape + (1,) * len(M.vector_shape))
        if normal:
            # As descent of |p|^2 / 2 would: its gradient vanishes on the manifold, and off it leads away, so that
            # the rounding of p grows geometrically unless the retraction removes it.
            X = X - M.project_vector(p, M.embed_point(p))
        p = retract(p, X)
        if k % (steps // 5) == 0:
            _require_rounded(M, p, f"after {k} steps of {method or 'retract'}")


def _require_rounded(M: Manifold, p: Array, when: str) -> None:
    eps = float(np.finfo(float).eps)
    try:
        M.check_point(p, atol=8 * eps * max(1.0, float(np.max(np.abs(p)))))
    except NotOnManifold as error:
        raise ConformanceError(f"{M!r} has drifted off {when}: {error}") from None


def _homewards(M: Manifold, p: Array, start: Array) -> Array:
    # where the logarithm is iterative, and no default, it would take most of the time
    if M.has("log") and M.default_inverse_retraction == "exponential" and M.stored_as_embedded:
        return M.log(p, start)
    if _without_bounds(M):
        return M.inverse_retract(p, start)
    return M.project_vector(p, start - M.embed_point(p))


def _without_bounds(M: Manifold) -> bool:
    """Whether neither distances nor an injectivity radius are known, but the way back by Cayley's formula is."""
    return (
        not M.has("log") and not M.has("injectivity_radius") and M.default_inverse_retraction == "cayley"
    )


def check_values(M: Manifold, rng: Any = 0) -> None:
    """A manifold is a value: equal to its copies, hashable, picklable, with a readable repr, and frozen."""
    for other in (pickle.loads(pickle.dumps(M)), copy.deepcopy(M)):
        require(
            other == M and hash(other) == hash(M), f"{M!r} is not equal to its copy, or hashes differently"
        )
        require(repr(other) == repr(M), f"the repr of a copy of {M!r} differs: {other!r}")
    names = {kind.__name__ for kind in type(M).__mro__ if kind is not Manifold and issubclass(kind, Manifold)}
    require(any(name in repr(M) for name in names), f"the repr of {M!r} does not name its class, or one above it")
    require(M != object(), f"{M!r} equals anything")
    s = sample(M, rng)
    again = sample(M, rng)
    require(
        np.array_equal(s.p, again.p) and np.array_equal(s.X, again.X),
        f"{M!r}: the same seed gives other random points",
    )
    require(not np.array_equal(M.random_point(1), M.random_point(2)), f"{M!r}: all seeds give the same point")


def check_errors(M: Manifold, rng: Any = 0) -> None:
    """Points and vectors are told from other arrays; unknown names are errors that list the known ones."""
    rng = np.random.default_rng(rng)
    s = sample(M, rng)
    require(M.is_point(s.p) and M.is_vector(s.p, s.X), f"{M!r} rejects its own random point or vector")
    M.check_point(sample(M, rng, (2, 2)).p)
    bad = s.p.copy()
    bad.flat[0] = np.nan
    wrong = np.zeros((M.point_shape[0] + 1, *M.point_shape[1:]))
    for what, array in {"NaN": bad, "a wrong shape": wrong}.items():
        _raises(f"{M!r}.check_point of {what}", NotOnManifold, lambda array=array: M.check_point(array))
        require(not M.is_point(array), f"{M!r}.is_point accepts {what}")
    X = s.X.copy()
    X.flat[0] = np.nan
    _raises(f"{M!r}.check_vector of NaN", NotTangent, lambda: M.check_vector(s.p, X))
    wrong = np.zeros((M.vector_shape[0] + 1, *M.vector_shape[1:]))
    _raises(f"{M!r}.check_vector of a wrong shape", NotTangent, lambda: M.check_vector(s.p, wrong))
    real = 2 if M.field == "complex" else 1
    if M.dim < real * math.prod(M.point_shape):
        off = ambient(M, M.point_shape, rng)
        if not M.open_storage:
            _raises(f"{M!r}.check_point of a random array", NotOnManifold, lambda: M.check_point(off))
    if M.dim < real * math.prod(M.vector_shape):
        out = ambient(M, M.vector_shape, rng)
        _raises(f"{M!r}.check_vector of a random array", NotTangent, lambda: M.check_vector(s.p, out))
    for call in (
        lambda: M.get_retraction("no such"),
        lambda: M.get_inverse_retraction("no such"),
        lambda: M.get_transport("no such"),
    ):
        error = _raises(f"an unknown method name on {M!r}", ValueError, call)
        require("no such" in str(error), f"the message does not repeat the unknown name: {error}")
    _raises(f"{M!r}.get_retraction(3)", TypeError, lambda: M.get_retraction(3))
    _raises(f"{M!r}.has of an unknown operation", ValueError, lambda: M.has("no such operation"))


def _raises(what: str, kind: type[Exception], call: Any) -> Exception:
    try:
        call()
    except kind as error:
        require(len(str(error)) > 10, f"{what} raises {kind.__name__} with no message")
        return error
    raise ConformanceError(f"{what} does not raise {kind.__name__}")
