"""The manifold interface, and what follows from a few of its methods for all manifolds."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.linalg.scalars import safe_sqrt
from manifold_opt.manifolds import fallbacks
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, repeated, scalar, written
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import MissingOperation, NotTangent
from manifold_opt.manifolds.methods import resolve, unknown_name

__all__ = ["Manifold"]


class Manifold(ABC):
    """A Riemannian manifold whose points and tangent vectors are single arrays.

    A subclass gives ``dim``, ``point_shape`` and ``isometric`` (fields, properties or class attributes) and
    five methods: `inner`, `project_vector`, `retract` or `project_point`, `random_point`, `check_point`. All
    else has a fallback, or raises `MissingOperation` naming the alternatives. Closed forms replace fallbacks
    one by one; a class lists its own in ``operations``.

    Every method takes leading batch axes: points ``(*batch, *point_shape)``, vectors ``(*batch,
    *vector_shape)``. Formulas work on NumPy arrays, autograd boxes, JAX and PyTorch arrays. On NumPy arrays,
    scalars of one point are Python floats, and every method that makes a point or a vector writes into
    ``out=`` (which may alias an argument) and returns it.

    Attributes
    ----------
    dim : int
        Dimension, counted in real numbers.
    point_shape, vector_shape, embedding_shape : tuple of int
        Shape of a stored point, of a stored tangent vector, and of both in the embedding. The last two
        default to the first.
    isometric : bool
        Whether the metric is the (Frobenius) metric of the embedding.
    field : {"real", "complex"}
        What points are made of.
    open_storage : bool
        Whether almost every array of the shape of a point is one, as factors of full rank are.
    takes_operators : bool
        Whether Euclidean derivatives may be sparse matrices, operators or `manifold_opt.linalg.LowRank`.
    stored_as_embedded : bool
        Whether the stored array of a point is its embedded array.
    operations : frozenset of str
        The operations this class has in closed form.
    retractions, inverse_retractions, transports : mapping of str to str
        Names that users may give, and the attributes that do it.
    isometric_transports : frozenset of str
        The transports that keep inner products.

    Notes
    -----
    Base point first, always. A vector in the embedding is written Z, a Euclidean gradient G, a Euclidean
    Hessian along X is H.

    References
    ----------
    P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton, 2008.
    N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge, 2023.
    """

    if TYPE_CHECKING:
        # Declared for type checkers only: as real attributes they would become defaults of dataclass fields.
        @property
        def dim(self) -> int:
            """Dimension."""

        @property
        def point_shape(self) -> tuple[int, ...]:
            """Shape of a stored point."""

        @property
        def isometric(self) -> bool:
            """Whether the metric is the embedding's."""

        @property
        def field(self) -> str:
            """``"real"`` or ``"complex"``."""

        @property
        def stored_as_embedded(self) -> bool:
            """Whether a point is stored as it is embedded."""
    else:
        field = "real"
        stored_as_embedded = True

    open_storage: ClassVar[bool] = False
    takes_operators: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset()
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "projection": "_retract_projection",
        "own": "_retract_own",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
        "iterative": "_inverse_retract_iterative",
    }
    isometric_transports: ClassVar[frozenset[str]] = frozenset({"parallel"})
    transports: ClassVar[Mapping[str, str]] = {
        "parallel": "parallel_transport_to",
        "projection": "_transport_projection",
    }

    # ---------------- what it is

    @property
    def vector_shape(self) -> tuple[int, ...]:
        """Shape of a stored tangent vector."""
        return self.point_shape

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """Shape of points and vectors in the embedding."""
        return self.point_shape

    @property
    def frobenius_scale(self) -> float | None:
        """The number c where ``inner(p, X, Y)`` is ``c Re <X, Y>`` of the stored vectors at every p, else None."""
        return None

    @property
    def injectivity_radius(self) -> float:
        """The global injectivity radius, possibly ``inf`` or 0."""
        raise self._missing("injectivity_radius", "treat it as unknown, or set it in your class")

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Lower and upper bound of the sectional curvatures."""
        raise self._missing("sectional_curvature_bounds", "set it in your class")

    def has(self, name: str) -> bool:
        """Whether an operation can be called: in closed form, or by a fallback that really computes it.

        Parameters
        ----------
        name
            The name of a method or attribute of the manifold, such as ``"log"``.

        Raises
        ------
        ValueError
            If there is no operation of that name on any manifold.
        """
        if name in self.operations:
            return True
        if name == "riemannian_hessian_from_storage" and self.stored_as_embedded:
            return self.has("riemannian_hessian")
        own = getattr(type(self), name, None)
        general = getattr(Manifold, name, None)
        if own is None and name not in _OPERATIONS:
            raise unknown_name("operation", name, _OPERATIONS, repr(self))
        if own is not general:
            return True
        if name in _NO_FALLBACK:
            return False
        return all(self.has(other) for other in _NEEDS.get(name, ()))

    def __repr__(self) -> str:
        """Class name with the fields; fields at their default are left out."""
        if not dataclasses.is_dataclass(self):
            return f"{type(self).__name__}()"
        parts = []
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.default is dataclasses.MISSING:
                parts.append(repr(value))
            elif value != f.default:
                parts.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def _missing(self, name: str, instead: str) -> MissingOperation:
        return MissingOperation(f"{self!r} has no {name}; {instead}")

    def _batch(self, p: Array) -> tuple[int, ...]:
        """The leading axes of a stored point."""
        return tuple(p.shape[: p.ndim - len(self.point_shape)])

    # ---------------- metric

    @abstractmethod
    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The inner product of two tangent vectors at p; a float, or an array ``(*batch,)``."""

    def norm(self, p: Array, X: Array) -> Any:
        """The length of a tangent vector at p."""
        return safe_sqrt_of(self.inner(p, X, X))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The Riemannian distance; its derivative is its own rule, zero where p and q coincide to rounding."""
        if not self.has("log"):
            raise self._missing(
                "distance",
                "use M.norm(p, M.inverse_retract(p, q)), which agrees to first order for close points",
            )
        return self.norm(p, self.log(p, q))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The square of the Riemannian distance, smooth where p and q coincide."""
        d = self.distance(p, q)
        return d * d

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """The distance below which p and q count as one point where `distance` is differentiated: 8 eps."""
        return 8.0 * float(np.finfo(real_dtype(p)).eps)

    # ---------------- geodesics

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The point reached from p along the geodesic with velocity X at time t."""
        raise self._missing(
            "exp (the Riemannian exponential)", f"use M.retract with one of {self._names('retraction')}"
        )

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The shortest tangent vector X at p with ``exp(p, X) = q``."""
        raise self._missing(
            "log (the Riemannian logarithm)",
            f"use M.inverse_retract with one of {self._names('inverse retraction')}",
        )

    def geodesic(self, p: Array, X: Array, t: Any) -> Array:
        """The geodesic through p with velocity X at time t; times ``(n,)`` at one point give ``(n, *point_shape)``."""
        batch = getattr(t, "shape", ())
        if len(batch) > len(self._batch(p)):
            # one point and many times: the times become the batch of the point as well
            p = repeated(p, tuple(batch), len(self.point_shape))
            X = repeated(X, tuple(batch), len(self.vector_shape))
        return self.exp(p, X, t)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The middle of the shortest geodesic from p to q."""
        return self.exp(p, self.log(p, q), 0.5)

    # ---------------- retractions

    @property
    def default_retraction(self) -> str:
        """Name of the retraction used where none is named."""
        if type(self).retract is not Manifold.retract and "retract" not in self.operations:
            return "own"
        return "exponential" if self.has("exp") else "projection"

    @property
    def default_inverse_retraction(self) -> str:
        """Name of the inverse of the default retraction."""
        name = self.default_retraction
        return (
            name
            if name in self.inverse_retractions and self._works("inverse retraction", name)
            else "iterative"
        )

    @property
    def default_transport(self) -> str:
        """Name of the vector transport used where none is named."""
        return "parallel" if self.has("parallel_transport_to") else "projection"

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The point that a retraction reaches from p along t X.

        Parameters
        ----------
        p, X
            Point and tangent vector at it.
        t
            A number, or an array of the batch shape.
        method
            A name in ``M.retractions``, a callable ``method(M, p, X, t=1.0, *, out=None)``, or None for the
            default.
        out
            Array to write into; may alias p or X.
        """
        if method is None and self.default_retraction == "exponential":
            return self.exp(p, X, t, out=out)  # without looking it up
        return self.get_retraction(method)(p, X, t, out=out)

    def inverse_retract(self, p: Array, q: Array, *, method: Any = None, out: Array | None = None) -> Array:
        """The tangent vector X at p whose retraction is q.

        Parameters
        ----------
        p, q
            Points.
        method
            A name in ``M.inverse_retractions``, a callable ``method(M, p, q, *, out=None)``, or None for the
            default.
        out
            Array to write into; may alias p or q.
        """
        return self.get_inverse_retraction(method)(p, q, out=out)

    def get_retraction(self, method: Any = None) -> Callable[..., Array]:
        """Resolve a retraction once: a function ``f(p, X, t=1.0, *, out=None)``."""
        return self._resolved("retraction", method if method is not None else self.default_retraction)

    def get_inverse_retraction(self, method: Any = None) -> Callable[..., Array]:
        """Resolve an inverse retraction once: a function ``f(p, q, *, out=None)``."""
        return self._resolved(
            "inverse retraction", method if method is not None else self.default_inverse_retraction
        )

    def get_transport(self, method: Any = None) -> Callable[..., Array]:
        """Resolve a vector transport once: a function ``f(p, X, q, *, out=None)``."""
        return self._resolved("transport", method if method is not None else self.default_transport)

    def _resolved(self, kind: str, method: Any) -> Callable[..., Array]:
        if type(method) is str and method in self._table(kind) and self._works(kind, method):
            function: Callable[..., Array] = getattr(self, self._table(kind)[method])
            return function
        return resolve(self, kind, {name: self._table(kind)[name] for name in self._names(kind)}, method)

    def _table(self, kind: str) -> Mapping[str, str]:
        return {
            "retraction": self.retractions,
            "inverse retraction": self.inverse_retractions,
            "transport": self.transports,
        }[kind]

    def _names(self, kind: str) -> list[str]:
        """The names of this kind that work on this manifold."""
        return [name for name in self._table(kind) if self._works(kind, name)]

    def _works(self, kind: str, name: str) -> bool:
        attribute = self._table(kind)[name]
        if attribute == "_retract_own":
            return type(self).retract is not Manifold.retract
        if attribute in ("_retract_projection", "_inverse_retract_projection"):
            changed = getattr(type(self), attribute) is not getattr(Manifold, attribute)
            return changed or type(self).project_point is not Manifold.project_point
        return self.has(attribute) if attribute in _OPERATIONS else True

    def _retract_own(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return written(self.retract(p, X, t), out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        step = expanded(t, len(self.embedding_shape)) * self.embed_vector(p, X)
        return written(self.project_point(self.embed_point(p) + step), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return written(fallbacks.inverse_retraction(self, self._retract_projection, p, q), out)

    def _inverse_retract_iterative(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        return written(fallbacks.inverse_retraction(self, self.get_retraction(), p, q), out)

    # ---------------- transports

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Carry the tangent vector X from p to q.

        Parameters
        ----------
        p, X, q
            Point, tangent vector at it, and the other point.
        method
            A name in ``M.transports``, a callable ``method(M, p, X, q, *, out=None)``, or None for the
            default.
        out
            Array to write into; may alias an argument.
        """
        return self.get_transport(method)(p, X, q, out=out)

    def vector_transport_direction(
        self, p: Array, X: Array, d: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Carry the tangent vector X from p to where the default retraction of d leads.

        With the parallel transport it goes along the geodesic of d, also beyond the cut locus.
        """
        name = method if method is not None else self.default_transport
        if name == "parallel":
            return self.parallel_transport_direction(p, X, d, out=out)
        return self.get_transport(name)(p, X, self.retract(p, d), out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Carry X along the shortest geodesic from p to q by the Levi-Civita connection."""
        raise self._missing(
            "parallel_transport_to", f"use M.vector_transport_to with one of {self._names('transport')}"
        )

    def parallel_transport_direction(
        self, p: Array, X: Array, d: Array, *, out: Array | None = None
    ) -> Array:
        """Carry X along the geodesic ``exp(p, t d)`` from t = 0 to 1."""
        return self.parallel_transport_to(p, X, self.exp(p, d), out=out)

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        Y = self.project_vector(q, self.embed_vector(p, X))
        missing = q.ndim - len(self.point_shape) > Y.ndim - len(self.vector_shape)
        return written(repeated(Y, self._batch(q), len(self.vector_shape)) if missing else Y, out)

    # ---------------- coordinates

    def get_basis(self, p: Array, basis: Any = None) -> Array:
        """A basis of the tangent space, ``(*batch, dim, *vector_shape)``; orthonormal by default.

        Parameters
        ----------
        p
            Point.
        basis
            None for the default orthonormal basis, an array like the one returned, or a callable ``basis(M,
            p)``.
        """
        if basis is not None:
            return basis(self, p) if callable(basis) else basis
        if type(self).get_vector is Manifold.get_vector:
            return fallbacks.projected_frame(self, p)
        eye = np.eye(self.dim, dtype=real_dtype(p))
        units = eye.reshape((self.dim,) + (1,) * len(self._batch(p)) + (self.dim,))
        frame = self.get_vector(p, units)
        whole = (self.dim, *self._batch(p), *self.vector_shape)
        if tuple(frame.shape) != whole:
            frame = namespace(frame).broadcast_to(frame, whole)
        return fallbacks.frame_last(self, frame, self._batch(p))

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The real coordinates ``(*batch, dim)`` of a tangent vector in a basis of the tangent space."""
        return written(fallbacks.coordinates(self, p, X, basis), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with coordinates c ``(*batch, dim)`` in a basis of the tangent space."""
        return written(fallbacks.combination(self, self.get_basis(p, basis), c), out)

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """A point of the manifold near the array z of the embedding."""
        raise self._missing("project_point", "write it, or `retract`, in your class")

    @abstractmethod
    def project_vector(self, p: Array, Z: Array) -> Array:
        """The tangent vector at p, as stored, that is nearest to Z of the embedding."""

    def tangentialize(self, p: Array, X: Array) -> Array:
        """A stored vector cleaned of rounding: projected to the tangent space."""
        return self.project_vector(p, self.embed_vector(p, X))

    def embed_point(self, p: Array) -> Array:
        """The point as an array of the embedding."""
        return p

    def embed_vector(self, p: Array, X: Array) -> Array:
        """The tangent vector as an array of the embedding."""
        return X

    def zero_vector(self, p: Array) -> Array:
        """The zero of the tangent space at p."""
        return namespace(p).zeros(self._batch(p) + self.vector_shape, dtype=p.dtype)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The Riemannian gradient of a function whose Euclidean gradient in the embedding is G."""
        if self.isometric:
            return self.project_vector(p, G)
        return fallbacks.gradient(self, p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The Riemannian Hessian along X of a function with Euclidean gradient G and Euclidean Hessian H along X.

        Notes
        -----
        On an isometrically embedded manifold ``P(H) + W(X, G - P G)`` with the Weingarten map W.

        References
        ----------
        P.-A. Absil, R. Mahony, J. Trumpf, An extrinsic look at the Riemannian Hessian, GSI 2013, section 3.
        """
        if not self.isometric:
            return fallbacks.hessian(self, p, G, H, X)
        normal = G - self.embed_vector(p, self.project_vector(p, G))
        return self.project_vector(p, H) + self.weingarten(p, X, normal)

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """The Riemannian gradient of a function whose derivative with respect to the stored array of p is g."""
        if self.stored_as_embedded:
            return self.riemannian_gradient(p, g)
        return fallbacks.gradient_from_storage(self, p, g)

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """The Riemannian Hessian along X of a function with derivative g with respect to the stored array of p.

        Parameters
        ----------
        p, X
            Point and tangent vector at it.
        g
            The derivative at p, of shape ``point_shape``.
        h
            The derivative of g along ``storage_vector(p, X)``.
        """
        if self.stored_as_embedded:
            return self.riemannian_hessian(p, g, h, X)
        raise self._missing("riemannian_hessian_from_storage", "take differences of the gradient")

    def euclidean_direction(self, p: Array, X: Array) -> Any:
        """The tangent vector as a user's Euclidean Hessian gets it: embedded, or factored where that would be large."""
        return self.embed_vector(p, X)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """The array G of the embedding with ``Re <G, Y> = inner(p, X, Y)`` for all tangent Y.

        It lies in the tangent space and is the inverse of `riemannian_gradient` there.
        """
        if self.isometric:
            return self.embed_vector(p, X)
        return fallbacks.euclidean_representer(self, p, X)

    def storage_representer(self, p: Array, X: Array) -> Array:
        """The stored-shape array g with ``Re <g, storage_vector(p, Y)> = inner(p, X, Y)`` for all tangent Y."""
        if self.stored_as_embedded:
            return self.euclidean_representer(p, X)
        return fallbacks.storage_representer(self, p, X)

    def storage_vector(self, p: Array, X: Array) -> Array:
        """The derivative of the stored array of the point along the tangent vector X."""
        if self.stored_as_embedded:
            return self.embed_vector(p, X)
        raise self._missing(
            "storage_vector", "write it in your class: the derivative of the stored array along X"
        )

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """The Weingarten map of the tangent vector X and the normal vector V (an array of the embedding)."""
        return fallbacks.weingarten(self, p, X, V)

    # ---------------- radii

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The radius of the ball at p on which a retraction (default: the exponential) is one to one."""
        return self.injectivity_radius

    def max_step(self, p: Array, X: Array) -> Any:
        """The largest t worth trying along X: the injectivity radius over the length of X; ``inf`` where unknown."""
        length = self.norm(p, X)
        radius = self.injectivity_radius_at(p) if self.has("injectivity_radius") else math.inf
        if type(length) is float:
            return radius / length if length > 0.0 else math.inf
        return np.where(length > 0, radius / np.where(length > 0, length, 1.0), math.inf)

    # ---------------- random

    @abstractmethod
    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A random point, or a batch of them.

        Parameters
        ----------
        rng
            A seed, a `numpy.random.Generator`, or None for fresh entropy.
        size
            Shape of the batch.
        """

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """A random tangent vector at p with independent standard normal coordinates."""
        c = np.random.default_rng(rng).standard_normal((*self._batch(p), self.dim))
        return self.get_vector(p, c.astype(real_dtype(p), copy=False))

    # ---------------- checks

    @abstractmethod
    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a point.

        Parameters
        ----------
        p
            Array to check, possibly a batch.
        atol
            Absolute tolerance of the constraints; default ``eps**(2/3)`` of the dtype.

        Raises
        ------
        NotOnManifold
            Naming the constraint that fails and by how much.
        """

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a tangent vector at p; p itself is not checked.

        Raises
        ------
        NotTangent
            Naming the constraint that fails and by how much.
        """
        X = cleared(X, "X", self.vector_shape, NotTangent)
        atol = default_atol(X) if atol is None else atol
        off = float(np.max(np.abs(self.tangentialize(p, X) - X), initial=0.0))
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        if not off <= atol * size:
            raise NotTangent(
                f"X is not tangent to {self!r} at p: projecting it moves an entry by {off:.3g} "
                f"(tolerance {atol * size:.3g}); project it with M.project_vector(p, X)"
            )

    def is_point(self, p: Array, atol: float | None = None) -> bool:
        """Whether p is a point; see `check_point`."""
        try:
            self.check_point(p, atol)
        except (ValueError, TypeError):
            return False
        return True

    def is_vector(self, p: Array, X: Array, atol: float | None = None) -> bool:
        """Whether X is a tangent vector at p; see `check_vector`."""
        try:
            self.check_vector(p, X, atol)
        except (ValueError, TypeError):
            return False
        return True


def real_dtype(p: Array) -> Any:
    """The real NumPy dtype of the precision of an array of any library."""
    name = str(p.dtype).rpartition(".")[2]
    return np.dtype({"complex128": "float64", "complex64": "float32"}.get(name, name))


def safe_sqrt_of(value: Any) -> Any:
    """The square root of an inner product, whichever road it came by."""
    if type(value) is float:
        return math.sqrt(value) if value > 0.0 or value != value else 0.0
    return scalar(safe_sqrt(value))


_NO_FALLBACK = frozenset(
    (
        "exp",
        "log",
        "parallel_transport_to",
        "project_point",
        "injectivity_radius",
        "sectional_curvature_bounds",
        "riemannian_hessian_from_storage",
    )
)
# What other fallbacks need.
_NEEDS: dict[str, tuple[str, ...]] = {
    "distance": ("log",),
    "squared_distance": ("distance",),
    "geodesic": ("exp",),
    "mid_point": ("exp", "log"),
    "parallel_transport_direction": ("parallel_transport_to", "exp"),
    "injectivity_radius_at": ("injectivity_radius",),
}
_OPERATIONS = frozenset(name for name in vars(Manifold) if not name.startswith("_")) - {
    "has",
    "operations",
    "retractions",
    "inverse_retractions",
    "transports",
    "isometric_transports",
    "open_storage",
    "takes_operators",
    "frobenius_scale",
    "is_point",
    "is_vector",
}
