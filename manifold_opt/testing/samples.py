"""Random points and vectors of a manifold, and one table of how its operations are called."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifold_opt.manifolds import Manifold

Array = Any


class ConformanceError(AssertionError):
    """A manifold does not do what the interface promises; the message says which check found what."""


@dataclass
class Sample:
    """What the operations of a manifold are called with.

    Attributes
    ----------
    p, q : array
        Two points well inside each other's injectivity radius.
    X, Y, d : array
        Tangent vectors at p.
    z : array
        An array of the embedding near the manifold.
    Z, H : array
        Any arrays of the embedding.
    g : array
        An array shaped as a stored point.
    c : array
        Coordinates.
    """

    p: Array
    q: Array
    X: Array
    Y: Array
    d: Array
    z: Array
    Z: Array
    H: Array
    g: Array
    c: Array

    def map(self, f: Callable[[Array], Array]) -> Sample:
        """The sample with a function applied to every array."""
        return Sample(**{name: f(value) for name, value in vars(self).items()})


def typical_length(M: Manifold, p: Array | None = None) -> float:
    """A length at which exponential, retractions and their inverses work; at p where the radius is zero elsewhere."""
    if not M.has("injectivity_radius"):
        return 0.25
    radius = M.injectivity_radius
    if radius == 0 and p is not None:
        radius = M.injectivity_radius_at(p)
    return 0.25 * min(radius, 2.0) if radius > 0 else 0.25


def ambient(
    M: Manifold, shape: tuple[int, ...], rng: np.random.Generator, size: tuple[int, ...] = ()
) -> Array:
    """A standard normal array of the field of the manifold."""
    Z = rng.standard_normal((*size, *shape))
    return Z + 1j * rng.standard_normal(Z.shape) if M.field == "complex" else Z


def unit_vector(M: Manifold, p: Array, rng: np.random.Generator) -> Array:
    """A random tangent vector of length 1."""
    X = M.random_vector(p, rng)
    length = np.asarray(M.norm(p, X))
    return X / length.reshape(length.shape + (1,) * len(M.vector_shape))


def sample(M: Manifold, rng: Any = 0, size: tuple[int, ...] = ()) -> Sample:
    """A random sample; with `size`, a batch of them."""
    rng = np.random.default_rng(rng)
    p = M.random_point(rng, size)
    length = typical_length(M, p)
    X, Y, d, to_q = (length * factor * unit_vector(M, p, rng) for factor in (1.0, 0.7, 0.8, 0.9))
    return Sample(
        p=p,
        q=M.retract(p, to_q),
        X=X,
        Y=Y,
        d=d,
        z=M.embed_point(p) + 0.1 * ambient(M, M.embedding_shape, rng, size),
        Z=ambient(M, M.embedding_shape, rng, size),
        H=ambient(M, M.embedding_shape, rng, size),
        g=ambient(M, M.point_shape, rng, size),
        c=length * rng.standard_normal((*size, M.dim)) / math.sqrt(M.dim),
    )


@dataclass(frozen=True)
class Call:
    """One way to call an operation: its arguments in a `Sample`, what it returns, whether it takes ``out=``."""

    operation: str
    arguments: tuple[str, ...]
    kind: str
    takes_out: bool = False
    method: str | None = None
    t: float | None = None

    @property
    def label(self) -> str:
        """The operation, with the method where there is one."""
        return self.operation + (f"[{self.method}]" if self.method else "")

    def __call__(self, M: Manifold, s: Sample, out: Array | None = None) -> Any:
        """Call it on a sample."""
        keywords: dict[str, Any] = {} if self.method is None else {"method": self.method}
        if self.t is not None:
            keywords["t"] = self.t
        if out is not None:
            keywords["out"] = out
        return getattr(M, self.operation)(*(getattr(s, name) for name in self.arguments), **keywords)

    def shape(self, M: Manifold) -> tuple[int, ...]:
        """The shape of what it returns for one point."""
        return {
            "scalar": (),
            "point": M.point_shape,
            "vector": M.vector_shape,
            "embedded": M.embedding_shape,
            "coordinates": (M.dim,),
        }[self.kind]


_CALLS = (
    Call("inner", ("p", "X", "Y"), "scalar"),
    Call("norm", ("p", "X"), "scalar"),
    Call("distance", ("p", "q"), "scalar"),
    Call("squared_distance", ("p", "q"), "scalar"),
    Call("exp", ("p", "X"), "point", True, t=0.7),
    Call("log", ("p", "q"), "vector", True),
    Call("mid_point", ("p", "q"), "point"),
    Call("parallel_transport_to", ("p", "X", "q"), "vector", True),
    Call("parallel_transport_direction", ("p", "X", "d"), "vector", True),
    Call("vector_transport_direction", ("p", "X", "d"), "vector", True),
    Call("get_coordinates", ("p", "X"), "coordinates", True),
    Call("get_vector", ("p", "c"), "vector", True),
    Call("project_point", ("z",), "point"),
    Call("project_vector", ("p", "Z"), "vector"),
    Call("tangentialize", ("p", "X"), "vector"),
    Call("embed_point", ("p",), "embedded"),
    Call("embed_vector", ("p", "X"), "embedded"),
    Call("zero_vector", ("p",), "vector"),
    Call("riemannian_gradient", ("p", "Z"), "vector"),
    Call("riemannian_hessian", ("p", "Z", "H", "X"), "vector"),
    Call("riemannian_gradient_from_storage", ("p", "g"), "vector"),
    Call("euclidean_representer", ("p", "X"), "embedded"),
    Call("storage_representer", ("p", "X"), "point"),
    Call("storage_vector", ("p", "X"), "point"),
    Call("weingarten", ("p", "X", "Z"), "vector"),
)


def calls(M: Manifold) -> list[Call]:
    """Every call that M can answer: its operations, and each retraction, inverse and transport by name."""
    listed = [call for call in _CALLS if M.has(call.operation)]
    listed += [
        Call("retract", ("p", "X"), "point", True, name, 0.7)
        for name in M._names("retraction")
        if name != "own"
    ]
    listed += [
        Call("inverse_retract", ("p", "q"), "vector", True, name) for name in M._names("inverse retraction")
    ]
    listed += [
        Call("vector_transport_to", ("p", "X", "q"), "vector", True, name) for name in M._names("transport")
    ]
    return listed


def close(what: str, got: Any, expected: Any, tolerance: float) -> None:
    """Raise unless two arrays agree to `tolerance` relative to the larger of 1 and the largest entry expected."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise ConformanceError(f"{what}: shape {got.shape}, expected {expected.shape}")
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    off = float(np.max(np.abs(got - expected), initial=0.0)) / scale
    if not off <= tolerance:
        raise ConformanceError(f"{what}: off by {off:.3g} relative to {scale:.3g}, allowed {tolerance:.3g}")


def require(condition: Any, message: str) -> None:
    """Raise with this message unless the condition holds."""
    if not condition:
        raise ConformanceError(message)
