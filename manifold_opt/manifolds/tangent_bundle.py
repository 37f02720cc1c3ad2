"""Points of a manifold together with tangent vectors at them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds import fallbacks
from manifold_opt.manifolds.arrays import cleared, expanded, frobenius, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.flat import FlatSpace
from manifold_opt.manifolds.layout import Layout

__all__ = ["TangentBundle"]

_OVER_FLAT_BASES = frozenset(
    "exp log distance squared_distance geodesic mid_point parallel_transport_to parallel_transport_direction "
    "injectivity_radius injectivity_radius_at sectional_curvature_bounds".split()
)


@dataclass(frozen=True, repr=False)
class TangentBundle(Manifold):
    """The pairs (p, X) of a point of a manifold and a tangent vector at it, with the Sasaki metric.

    A tangent vector at (p, X) is a pair (V, W) of tangent vectors at p: the velocity V of the point and the covariant
    derivative W of the vector. The metric is ``<V1, V2> + <W1, W2>``.

    Parameters
    ----------
    manifold : Manifold
        The base manifold. It needs a parallel transport, or to be isometrically embedded.

    Raises
    ------
    TypeError
        If `manifold` is no manifold, or has neither.

    Notes
    -----
    Points and vectors are flat arrays: ``p, X = M.split(x)``, ``V, W = M.split_vector(Z)``, and `join`, `join_vector`
    the other way. The embedding holds p and X as embedded.

    With the bilinear map B of ``<G, B(V, X)> = <Hess f(V), X>`` for the functions f = <G, .> of the embedding, an
    embedded vector that is transported along V has the derivative B(V, X). So (V, W) is embedded as (V, W + B(V, X)),
    and the gradient of a function with Euclidean gradients (G, K) is (grad G + Hess K (X), grad K), with the gradient
    and the Hessian conversion of the base (at a Euclidean Hessian of zero): two conversions, no frames.

    The retraction ``"transport"`` retracts the point along V and transports X + W along: with (V, 0) the vector stays
    parallel, with (0, W) the point stays. Geodesics of the Sasaki metric are known where the base is flat; elsewhere
    ``exp`` and ``log`` raise `MissingOperation`.

    References
    ----------
    S. Sasaki, On the differential geometry of tangent bundles of Riemannian manifolds, Tohoku Math. J. 10, 1958.
    P. Muralidharan, P. T. Fletcher, Sasaki metrics for analysis of longitudinal data on manifolds, CVPR, 2012,
    section 3.
    """

    manifold: Manifold

    def __post_init__(self) -> None:
        if not isinstance(self.manifold, Manifold):
            raise TypeError(f"manifold must be a Manifold, but it is {self.manifold!r}")
        if not (self.manifold.isometric or self.manifold.has("parallel_transport_to")):
            raise TypeError(
                f"the tangent bundle needs a base with a parallel transport or the metric of its embedding, but "
                f"{self.manifold!r} has neither; use ProductManifold(p=M, X=Euclidean(M.dim)) with coordinates"
            )

    # ---------------- what it is

    @cached_property
    def _points(self) -> Layout:
        return Layout((self.manifold.point_shape, self.manifold.vector_shape), (False, False))

    @cached_property
    def _vectors(self) -> Layout:
        return Layout((self.manifold.vector_shape,) * 2, (False, False))

    @cached_property
    def _embedded(self) -> Layout:
        return Layout((self.manifold.embedding_shape,) * 2, (False, False))

    def __getstate__(self) -> dict[str, Any]:
        """The base alone, without what is cached."""
        return {"manifold": self.manifold}

    @property
    def dim(self) -> int:
        """Twice that of the base."""
        return 2 * self.manifold.dim

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis: point, then vector."""
        return (self._points.size,)

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """One axis: velocity, then covariant derivative."""
        return (self._vectors.size,)

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """One axis: point, then vector, as embedded."""
        return (self._embedded.size,)

    @property
    def isometric(self) -> bool:
        """Only over linear spaces: elsewhere a vector that is carried along moves in the embedding."""
        return self.manifold.isometric and isinstance(self.manifold, FlatSpace)

    @property
    def field(self) -> str:
        """That of the base."""
        return self.manifold.field

    @property
    def frobenius_scale(self) -> float | None:
        """That of the base."""
        return self.manifold.frobenius_scale

    @cached_property
    def stored_as_embedded(self) -> bool:
        """Whether points and vectors of the base are; those of groups are stored in the Lie algebra."""
        M = self.manifold
        p = M.random_point(0)
        X = M.random_vector(p, 1)
        return M.stored_as_embedded and np.array_equal(M.embed_vector(p, X), X)

    @cached_property
    def _flat(self) -> bool:
        """Whether the base is a flat space on which embedded vectors are constant when parallel."""
        M = self.manifold
        if not (M.has("sectional_curvature_bounds") and all(M.has(name) for name in ("exp", "log"))):
            return False
        return tuple(M.sectional_curvature_bounds) == (0.0, 0.0) and M.has("parallel_transport_to")

    @property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # depends on the base
        """Those that follow from the base in closed form."""
        names = (
            "inner project_point tangentialize get_coordinates get_vector riemannian_gradient random_point check_point "
            "check_vector"
        )
        flat = " exp log distance parallel_transport_to" if self._flat else ""
        return frozenset((names + flat).split())

    def has(self, name: str) -> bool:
        """Geodesics over flat bases; projection where the base has it."""
        if name in _OVER_FLAT_BASES:
            return self._flat
        return self.manifold.has(name) if name == "project_point" else super().has(name)

    @property
    def injectivity_radius(self) -> float:
        """That of a flat base."""
        if not self._flat:
            raise self._missing("injectivity_radius", "treat it as unknown")
        return self.manifold.injectivity_radius

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Zero over flat bases; elsewhere they grow with the square of the vector, without bounds."""
        if not self._flat:
            raise self._missing("sectional_curvature_bounds", "there are none")
        return 0.0, 0.0

    # ---------------- parts

    def split(self, x: Array) -> tuple[Array, Array]:
        """The point p and the tangent vector X at it: views."""
        p, X = self._points.split(x)
        return p, X

    def join(self, p: Array, X: Array, *, out: Array | None = None) -> Array:
        """The point (p, X)."""
        return self._points.join((p, X), out)

    def split_vector(self, Z: Array) -> tuple[Array, Array]:
        """The velocity V of the point and the covariant derivative W of the vector: views."""
        V, W = self._vectors.split(Z)
        return V, W

    def join_vector(self, V: Array, W: Array, *, out: Array | None = None) -> Array:
        """The tangent vector (V, W)."""
        return self._vectors.join((V, W), out)

    # ---------------- metric and geodesics

    def inner(self, x: Array, Z: Array, Y: Array) -> Any:
        """``<V1, V2> + <W1, W2>`` at p."""
        p, _ = self.split(x)
        (V1, W1), (V2, W2) = self.split_vector(Z), self.split_vector(Y)
        return self.manifold.inner(p, V1, V2) + self.manifold.inner(p, W1, W2)

    @log_derivative
    def distance(self, x: Array, y: Array) -> Any:
        """Over a flat base: the root of the sum of squares of distance and difference of parallel vectors."""
        Z = self.log(x, y)
        return safe_sqrt_of(self.inner(x, Z, Z))

    def exp(self, x: Array, Z: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """Over a flat base: the geodesic of the point with X + t W carried along."""
        if not self._flat:
            return super().exp(x, Z, t, out=out)
        return self._retract_transport(x, Z, t, out=out)

    def log(self, x: Array, y: Array, *, out: Array | None = None) -> Array:
        """Over a flat base: the logarithm of the point, and the difference to the other vector carried back."""
        if not self._flat:
            return super().log(x, y, out=out)
        return self._inverse_retract_transport(x, y, out=out)

    # ---------------- methods

    @property
    def retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # the exponential over flat bases only
        """``"transport"``, and the exponential over flat bases."""
        return {"transport": "_retract_transport", **({"exponential": "exp"} if self._flat else {})}

    @property
    def inverse_retractions(self) -> Mapping[str, str]:  # type: ignore[override]  # as above
        """The inverse by the logarithm and transport of the base, where it has them, and Newton's method."""
        names = {"iterative": "_inverse_retract_iterative"}
        if self._reversible:
            names["transport"] = "_inverse_retract_transport"
        return {**names, **({"exponential": "log", "logarithmic": "log"} if self._flat else {})}

    @property
    def transports(self) -> Mapping[str, str]:  # type: ignore[override]  # as above
        """Both parts by the parallel transport of the base, or by projection."""
        parallel = {"parallel": "parallel_transport_to"} if self._flat else {}
        return {"componentwise": "_transport_componentwise", **parallel}

    @property
    def isometric_transports(self) -> frozenset[str]:  # type: ignore[override]  # as the base's
        """As of the base."""
        return frozenset({"componentwise", "parallel"} if self._carrier == "parallel" else ())

    @property
    def _reversible(self) -> bool:
        """Whether the base carries back by its default methods exactly what it carried along."""
        M = self.manifold
        return M.default_retraction == "exponential" and M.has("log") and self._carrier == "parallel"

    @property
    def default_retraction(self) -> str:
        """``"transport"``, which over flat bases is the exponential."""
        return "exponential" if self._flat else "transport"

    @property
    def default_inverse_retraction(self) -> str:
        """The inverse of the default retraction."""
        return "exponential" if self._flat else "transport" if self._reversible else "iterative"

    @property
    def default_transport(self) -> str:
        """Both parts by the parallel transport of the base, or by projection."""
        return "parallel" if self._flat else "componentwise"

    def _works(self, kind: str, name: str) -> bool:
        return True

    @property
    def _carrier(self) -> str:
        """The transport of the base that is the Levi-Civita one, to first order at least: others turn the vector."""
        return "parallel" if self.manifold.has("parallel_transport_to") else "projection"

    def _retract_transport(self, x: Array, Z: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        M = self.manifold
        (p, X), (V, W) = self.split(x), self.split_vector(Z)
        tV, tW = (expanded(t, len(M.vector_shape)) * Y for Y in (V, W))
        q = M.retract(p, tV)
        if self._carrier == "parallel" and M.default_retraction == "exponential":
            Y = M.parallel_transport_direction(p, X + tW, tV)
        else:
            Y = M.vector_transport_to(p, X + tW, q, method=self._carrier)
        # cleaned: what a transport leaves of rounding would grow over many steps
        return self.join(q, M.tangentialize(q, Y), out=out)

    def _inverse_retract_transport(self, x: Array, y: Array, *, out: Array | None = None) -> Array:
        (p, X), (q, Y) = self.split(x), self.split(y)
        M = self.manifold
        back = M.vector_transport_to(q, Y, p, method=self._carrier)
        return self.join_vector(M.inverse_retract(p, q), back - X, out=out)

    def _transport_componentwise(self, x: Array, Z: Array, y: Array, *, out: Array | None = None) -> Array:
        (p, _), (q, _) = self.split(x), self.split(y)
        carried = [self.manifold.vector_transport_to(p, Y, q, method=self._carrier) for Y in self.split_vector(Z)]
        return self.join_vector(*carried, out=out)

    def parallel_transport_to(self, x: Array, Z: Array, y: Array, *, out: Array | None = None) -> Array:
        """Over a flat base: both parts by its parallel transport."""
        if not self._flat:
            return super().parallel_transport_to(x, Z, y, out=out)
        return self._transport_componentwise(x, Z, y, out=out)

    # ---------------- coordinates and embedding

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of V, then those of W, in the default basis of the base."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        at, _ = self.split(p)
        parts = [self.manifold.get_coordinates(at, Y) for Y in self.split_vector(X)]
        return written(namespace(*parts).concatenate(parts, axis=-1), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """V from the first half, W from the second."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        at, _ = self.split(p)
        n = self.manifold.dim
        return self.join_vector(*(self.manifold.get_vector(at, c[..., i : i + n]) for i in (0, n)), out=out)

    def project_point(self, z: Array) -> Array:
        """The point near the first half, and the tangent vector at it nearest to the second."""
        a, A = self._embedded.split(z)
        p = self.manifold.project_point(a)
        return self.join(p, self.manifold.project_vector(p, A))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The nearest tangent vector by the Gram matrix of an embedded frame."""
        F = fallbacks.frame_first(self, self.get_basis(p), max(self._batch(p), tuple(Z.shape[:-1]), key=len))
        E = self.embed_vector(p, F)
        xp = namespace(E, Z)
        gram = xp.moveaxis(xp.sum(xp.real(xp.conj(E[:, None]) * E[None]), axis=-1), (0, 1), (-2, -1))
        c = xp.moveaxis(frobenius(xp, E, Z, 1), 0, -1)
        return self.get_vector(p, xp.linalg.solve(gram, c[..., None])[..., 0])

    def tangentialize(self, p: Array, X: Array) -> Array:
        """Both parts."""
        at, _ = self.split(p)
        return self.join_vector(*(self.manifold.tangentialize(at, Y) for Y in self.split_vector(X)))

    def embed_point(self, p: Array) -> Array:
        """Both parts as embedded."""
        at, X = self.split(p)
        return self._embedded.join((self.manifold.embed_point(at), self.manifold.embed_vector(at, X)))

    def embed_vector(self, p: Array, X: Array) -> Array:
        """``(V, W + B(V, X))``: what is carried along moves as well."""
        at, Y = self.split(p)
        V, W = self.split_vector(X)
        M = self.manifold
        return self._embedded.join((M.embed_vector(at, V), M.embed_vector(at, W) + self._bent(at, V, Y)))

    def _bent(self, p: Array, V: Array, X: Array) -> Array:
        """``B(V, X)``, entry by entry: one Hessian conversion of a batch of units."""
        M = self.manifold
        dtype = np.result_type(*(np.dtype(str(a.dtype).rpartition(".")[2]) for a in (p, V)))
        units = np.eye(math.prod(M.embedding_shape), dtype=dtype)
        batch = max(M._batch(p), tuple(V.shape[: V.ndim - len(M.vector_shape)]), key=len)
        units = units.reshape((len(units),) + (1,) * len(batch) + M.embedding_shape)

        def entries(units: Array) -> Array:
            bend = M.riemannian_hessian(p, units, 0.0 * units, V)
            xp = namespace(bend, X)
            flat = xp.moveaxis(M.inner(p, bend, X), 0, -1)
            return xp.reshape(flat, (*flat.shape[:-1], *M.embedding_shape))

        value = entries(units)
        if M.field == "complex":
            value = value + 1j * entries(1j * units)
        return value.astype(dtype, copy=False) if type(value) is np.ndarray else value

    def storage_vector(self, p: Array, X: Array) -> Array:
        """As `embed_vector`; where stored vectors are not embedded ones, by differences of the transport."""
        if self.stored_as_embedded:
            return self.embed_vector(p, X)
        at, Y = self.split(p)
        V, W = self.split_vector(X)
        M = self.manifold
        h = float(np.finfo(np.asarray(at).real.dtype).eps) ** 0.2
        carried = sum(
            weight / h * M.parallel_transport_direction(at, Y, node * h * V)
            for node, weight in zip(fallbacks._NODES, fallbacks._WEIGHTS)
        )
        return self._points.join((M.storage_vector(at, V), W + carried))

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``(grad G + Hess K (X), grad K)`` for the Euclidean gradients G with respect to p and K with respect to X."""
        at, X = self.split(p)
        Gp, GX = self._embedded.split(G)
        M = self.manifold
        along = M.riemannian_gradient(at, Gp) + M.riemannian_hessian(at, GX, 0.0 * GX, X)
        return self.join_vector(along, M.riemannian_gradient(at, GX))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A random point of the base and a random vector there."""
        rng = np.random.default_rng(rng)
        p = self.manifold.random_point(rng, size)
        return self.join(p, self.manifold.random_vector(p, rng))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless it is a point of the base and a tangent vector there; the message says which is not."""
        at, X = self.split(cleared(p, "p", self.point_shape, NotOnManifold))
        try:
            self.manifold.check_point(at, atol)
        except NotOnManifold as error:
            raise NotOnManifold(f"in the base point of {self!r}: {error}") from None
        try:
            self.manifold.check_vector(at, X, atol)
        except NotTangent as error:
            raise NotOnManifold(f"in the vector of a point of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless both parts are tangent to the base; the message says which is not."""
        at, _ = self.split(np.asarray(p))
        for name, Y in zip(("velocity", "vertical"), self.split_vector(cleared(X, "X", self.vector_shape, NotTangent))):
            try:
                self.manifold.check_vector(at, Y, atol)
            except NotTangent as error:
                raise NotTangent(f"in the {name} part of a vector of {self!r}: {error}") from None
