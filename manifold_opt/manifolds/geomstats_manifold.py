"""Any space of geomstats as a manifold."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, is_numpy
from manifold_opt.manifolds import fallbacks
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.geomstats_native import native_manifold

__all__ = ["GeomstatsManifold"]

# What is tried on random points before it counts as there.
_TRIED = ("project_point", "exp", "log", "parallel_transport_to")


@dataclass(frozen=True, init=False, repr=False, eq=False)
class GeomstatsManifold(Manifold):
    """A space of geomstats with the metric it is equipped with.

    Parameters
    ----------
    space : geomstats Manifold
        The space, equipped with a Riemannian metric.
    native : bool, default True
        Return the manifold of this package instead where it has the same points and the same metric:
        ``GeomstatsManifold(Hypersphere(2))`` is ``Sphere(2)``.
    verify : bool, default True
        Check that the exponential of a logarithm arrives, and raise a ValueError where it does not.

    Raises
    ------
    TypeError
        When `space` is not a geomstats space with a metric, or geomstats computes with PyTorch.
    ValueError
        When the metric is degenerate on the tangent spaces, as that of a quotient is.

    Notes
    -----
    ``exp``, ``log``, ``parallel_transport_to`` and ``project_point`` are geomstats' where a trial on two random points
    shows that they do what they should; ``M.has`` tells. Distances are lengths of logarithms, which are not those
    of an arc cosine. Gradients, Hessians and coordinates come from a frame that is orthonormal in the metric.
    The default retraction is the exponential where it is a formula, and the projection of ``p + X`` where geomstats
    solves a differential equation for it. Injectivity radii and curvatures are not taken over.

    geomstats is imported by whoever makes the space; under NumPy 2.4 and later by `import_geomstats`. It computes on
    NumPy arrays: inside a cost ``distance`` and ``squared_distance`` can be differentiated, other operations cannot.
    Two such manifolds are equal when class, metric and parameters of their spaces are.

    References
    ----------
    N. Miolane et al., Geomstats: a Python package for Riemannian geometry in machine learning, J. Mach. Learn. Res.
    21, 2020.
    """

    space: Any
    verify: bool
    _mark: Any = field(init=False)

    def __new__(cls, space: Any = None, *, native: bool = True, verify: bool = True) -> Any:  # noqa: D102
        own = native_manifold(space) if native and space is not None else None
        return super().__new__(cls) if own is None else own

    def __init__(self, space: Any, *, native: bool = True, verify: bool = True) -> None:
        missing = [name for name in ("shape", "belongs", "to_tangent", "random_point") if not hasattr(space, name)]
        if missing or not hasattr(getattr(space, "metric", None), "inner_product"):
            raise TypeError(
                f"space must be a geomstats space equipped with a metric, but {space!r} "
                + (f"has no {missing[0]}" if missing else "has no metric; call space.equip_with_metric()")
            )
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "verify", bool(verify))
        object.__setattr__(self, "_mark", (_fingerprint(space, {}), self.verify))
        with np.errstate(all="ignore"):
            p = self._trial_points[0]
            gram = self._gram(p, self._euclidean_frame(p))
        low, high = np.linalg.eigvalsh(gram)[[0, -1]]
        if not low > 1e-10 * high:
            raise ValueError(
                f"the metric of {self!r} is degenerate at a random point (eigenvalues from {low:.3g} to {high:.3g}), "
                "as that of a quotient is; give the total space with its own metric, or a space of the quotient's "
                "dimension"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GeomstatsManifold) and self._mark == other._mark

    def __hash__(self) -> int:
        return hash(self._mark)

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {"space": self.space, "verify": self.verify, "_mark": self._mark}

    def __repr__(self) -> str:
        """Class, metric and shape; geomstats' own names its place in memory."""
        space, metric = type(self.space).__name__, type(self.space.metric).__name__
        return f"GeomstatsManifold(<{space} of shape {self.point_shape} with {metric}>)"

    # ---------------- what it is

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape of a point of the space."""
        return tuple(int(n) for n in self.space.shape)

    @cached_property
    def field(self) -> str:
        """What random points are made of."""
        return "complex" if np.iscomplexobj(self._trial_points) else "real"

    @cached_property
    def dim(self) -> int:
        """The rank of ``to_tangent``, in real numbers; geomstats counts complex ones, and positive ranks wrongly."""
        A = self._real_rows(self._projected_units(self._trial_points[0]))
        return int(np.linalg.matrix_rank(A, tol=1e-8))

    @property
    def _size(self) -> int:
        """The number of real numbers in a point."""
        return math.prod(self.point_shape) * (2 if self.field == "complex" else 1)

    @cached_property
    def isometric(self) -> bool:
        """Whether the metric is that of the arrays, at two random points."""
        return all(
            bool(np.allclose(self._gram(p, self._euclidean_frame(p)), np.eye(self.dim), atol=1e-12))
            for p in self._trial_points
        )

    @cached_property
    def _orthogonal(self) -> bool:
        """Whether ``to_tangent`` is the orthogonal projection: a symmetric matrix at two random points."""
        for p in self._trial_points:
            A = self._real_rows(self._projected_units(p))
            if not np.allclose(A, A.T, atol=1e-12 * max(1.0, float(np.max(np.abs(A))))):
                return False
        return True

    @cached_property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # what the trials show
        """What geomstats has, and does right on two random points."""
        found: set[str] = {"inner"}
        for name in _TRIED:
            if getattr(self, f"_try_{name}")(found):
                found.add(name)
        return frozenset(found)

    def has(self, name: str) -> bool:
        """Whether an operation can be called; what geomstats gives has passed a trial."""
        return name in self.operations if name in _TRIED else super().has(name)

    def _works(self, kind: str, name: str) -> bool:
        if self._table(kind)[name] in ("_retract_projection", "_inverse_retract_projection"):
            return self.has("project_point")
        return super()._works(kind, name)

    @property
    def default_retraction(self) -> str:
        """The exponential, or the projection where geomstats integrates the geodesic equation."""
        integrated = getattr(self.space.metric, "exp_solver", None) is not None
        if self.has("project_point") and (integrated or not self.has("exp")):
            return "projection"
        if not self.has("exp"):
            raise self._missing("retraction", "geomstats has neither exp nor projection; give a callable")
        return "exponential"

    # ---------------- calling geomstats

    def _call(self, f: Callable[..., Any], *arrays: tuple[Array, tuple[int, ...]], shape: tuple[int, ...]) -> Array:
        """f of geomstats on arrays, each with its own shape, over a common batch that it sees as one axis.

        In double precision, which is all that geomstats' tolerances and solvers are made for.
        """
        if not is_numpy(*(a for a, _ in arrays)):
            arrays = tuple((_plain(a, self), own) for a, own in arrays)
        batch = np.broadcast_shapes(*(a.shape[: a.ndim - len(own)] for a, own in arrays))
        one = math.prod(batch) == 1
        given = [
            np.broadcast_to(a, (*batch, *own)).reshape(own if one else (-1, *own)).astype(np.result_type(a, float))
            for a, own in arrays
        ]
        with np.errstate(all="ignore"):
            value = np.asarray(f(*given))
        return value.reshape((*batch, *shape))

    def _like(self, value: Array, p: Array) -> Array:
        """In the precision of p."""
        kind = p.dtype
        if self.field == "complex":
            kind = np.result_type(p.dtype, np.complex64)
        elif value.dtype.kind == "c" and not np.any(value.imag):
            value = value.real
        return value.astype(kind, copy=False) if value.dtype.kind == kind.kind else value

    def _points(self, *arrays: Array) -> list[tuple[Array, tuple[int, ...]]]:
        return [(a, self.point_shape) for a in arrays]

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """geomstats' inner product; its real part where it is complex."""
        value = np.real(self._call(self.space.metric.inner_product, *self._points(X, Y, p), shape=()))
        return float(value) if value.ndim == 0 else value

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """geomstats' exponential, put back on the space by its projection where it has one."""
        if not self.has("exp"):
            return super().exp(p, X, t, out=out)
        return written(self._exp(p, X, t), out)

    def _exp(self, p: Array, X: Array, t: Any = 1.0) -> Array:
        tX = expanded(t, len(self.point_shape)) * X
        q = self._mended(self.space.metric.exp, p, tX, tX)
        if self.dim < self._size and self._projects:
            q = self._call(self.space.projection, *self._points(q), shape=self.point_shape)
        return self._like(q, p)

    def _mended(self, f: Callable[..., Any], p: Array, y: Array, X: Array) -> Array:
        """f(y, p), or its limit where a formula divides by zero: on Siegel space, at singular matrices X."""
        if not self._breaks:
            return self._call(f, *self._points(y, p), shape=self.point_shape)
        try:
            value = self._call(f, *self._points(y, p), shape=self.point_shape)
        except (ValueError, np.linalg.LinAlgError):  # from LAPACK, about 0/0
            value = np.asarray(np.nan)
        k = len(self.point_shape)
        axes = tuple(range(-k, 0))
        size = np.max(np.abs(X), axis=axes)
        limit = self._beside(f, p, y, size)
        off = np.max(np.abs(value - limit), axis=axes)  # not a number where value is not
        return np.where(expanded(np.asarray(off <= 1e-3 * size), k), value, limit)

    def _beside(self, f: Callable[..., Any], p: Array, y: Array, size: Any) -> Array:
        """The mean of f on both sides of y, a distance of 1e-6 `size` away; the error is about 1e-10."""
        V = np.random.default_rng(0).standard_normal(self.point_shape)
        V = self._call(self.space.to_tangent, *self._points(V, p), shape=self.point_shape)
        step = expanded(1e-6 * np.asarray(size), len(self.point_shape)) * V
        return sum(0.5 * self._call(f, *self._points(z, p), shape=self.point_shape) for z in (y + step, y - step))

    @cached_property
    def _breaks(self) -> bool:
        """Whether exp is discontinuous at a vector of the Euclidean frame, of rank one in spaces of matrices."""
        p = self._trial_points[0]
        X = 0.1 * self._euclidean_frame(p)
        at = self._call(self.space.metric.exp, *self._points(X, p), shape=self.point_shape)
        return not self._near(at, self._beside(self.space.metric.exp, p, X, 0.1), 1e-3)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """geomstats' logarithm.

        Raises
        ------
        ValueError
            When it is complex, not finite, or (with ``verify``) does not lead to q.
        """
        if not self.has("log"):
            return super().log(p, q, out=out)
        X = self._log(p, q)
        fault = self._fault(p, q, X)
        if fault:
            raise ValueError(
                f"the logarithm that geomstats gives on {self!r} is {fault}, for points as far apart as "
                f"{float(np.max(np.abs(q - p), initial=0.0)):.3g} in an entry; they may be at the cut locus: go there "
                "in several steps"
            )
        return written(self._like(X, p), out)

    def _fault(self, p: Array, q: Array, X: Array) -> str:
        """What is wrong with X as the logarithm of q; empty where nothing is."""
        if self.field == "real" and np.iscomplexobj(X) and np.any(X.imag):
            return "complex"
        if not np.all(np.isfinite(X)):
            return "not finite"
        off = float(np.max(np.abs(self._exp(p, self._like(X, p)) - q), initial=0.0)) if self.verify else 0.0
        # an absolute bound, as far points may be reached within their rounding only
        allowed = 1e-2 * max(1.0, float(np.max(np.abs(q), initial=0.0)))
        return "" if off <= allowed else f"wrong: exp misses q by {off:.2g}"

    def _log(self, p: Array, q: Array) -> Array:
        return self._mended(self.space.metric.log, p, q, q - p)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """geomstats' parallel transport along the geodesic of its logarithm."""
        if not self.has("parallel_transport_to"):
            return super().parallel_transport_to(p, X, q, out=out)
        return written(self._like(self._transport(p, X, q), X), out)

    def _transport(self, p: Array, X: Array, q: Array) -> Array:
        move = self.space.metric.parallel_transport
        return self._call(
            lambda X, p, q: move(X, p, end_point=q), *self._points(X, p, q), shape=self.point_shape
        )

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """geomstats' projection."""
        if not self.has("project_point"):
            return super().project_point(z)
        return self._like(self._call(self.space.projection, *self._points(z), shape=self.point_shape), z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The orthogonal projection: ``to_tangent`` where that is orthogonal, else by a frame of the tangent space."""
        if self._orthogonal:
            X = self._call(self.space.to_tangent, *self._points(Z, p), shape=self.point_shape)
            return self._like(X, np.asarray(Z))
        E = self._euclidean_frame(p)
        k = len(self.point_shape)
        c = frobenius(np, E.reshape(E.shape[:1] + (1,) * max(0, Z.ndim - p.ndim) + E.shape[1:]), Z, k)
        E = E.reshape(E.shape[:1] + (1,) * (c.ndim - (E.ndim - k)) + E.shape[1:])
        return self._like(np.sum(expanded(c, k) * E, axis=0), np.asarray(Z))

    # ---------------- frames

    def _projected_units(self, p: Array) -> Array:
        """``to_tangent`` of every unit of the array, on a leading axis."""
        units = np.eye(math.prod(self.point_shape), dtype=float)
        if self.field == "complex":
            units = np.concatenate([units, 1j * units])
        batch = self._batch(p)
        units = units.reshape((len(units),) + (1,) * len(batch) + self.point_shape)
        return self._call(self.space.to_tangent, *self._points(units, p), shape=self.point_shape)

    def _real_rows(self, Z: Array) -> Array:
        """Arrays at one point as rows of real numbers."""
        rows = Z.reshape(len(Z), -1)
        return np.concatenate([rows.real, rows.imag], axis=1) if self.field == "complex" else rows

    def _euclidean_frame(self, p: Array) -> Array:
        """A frame of the tangent space that is orthonormal as arrays are, ``(dim, *batch, *point_shape)``."""
        Z = self._projected_units(p).astype(np.result_type(p.dtype, float), copy=False)
        if self.dim == self._size:
            return Z
        k = len(self.point_shape)
        return fallbacks.independent(Z, lambda A, B: frobenius(np, A, B, k), self.dim, k, repr(self))

    def _gram(self, p: Array, E: Array) -> Array:
        """The inner products of a frame, ``(*batch, dim, dim)``, by one call."""
        return np.moveaxis(np.asarray(self.inner(p, E[:, None], E[None])), (0, 1), (-2, -1))

    def get_basis(self, p: Array, basis: Any = None) -> Array:
        """An orthonormal basis by the Cholesky factor of the Gram matrix of a Euclidean frame; the last one is kept."""
        if basis is not None:
            return super().get_basis(p, basis)
        key = (p.shape, p.dtype.str, p.tobytes())
        last = self.__dict__.get("_last_basis")
        if last is None or last[0] != key:
            last = (key, self._basis(p))
            object.__setattr__(self, "_last_basis", last)
        return last[1]

    def _basis(self, p: Array) -> Array:
        E = self._euclidean_frame(p)
        inverse = np.linalg.inv(np.linalg.cholesky(self._gram(p, E)))
        flat = np.moveaxis(E, 0, len(self._batch(p)))
        flat = flat.reshape((*self._batch(p), self.dim, math.prod(self.point_shape)))
        B = (inverse @ flat).reshape((*self._batch(p), self.dim, *self.point_shape))
        B = self._like(B, p)
        B.setflags(write=False)
        return B

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Inner products with the basis, by one call."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        B = fallbacks.frame_first(self, self.get_basis(p), max(self._batch(p), self._batch(X), key=len))
        c = np.moveaxis(np.asarray(self.inner(p, B, X)), 0, -1)
        return written(c.astype(X.real.dtype, copy=False), out)

    # ---------------- random and checks

    def _random_points(self, rng: Any, n: int) -> Array:
        """n points with the global random state of NumPy, which geomstats draws from, set for this and put back."""
        seed = int(np.random.default_rng(rng).integers(2**32))
        before = np.random.get_state()  # noqa: NPY002  # geomstats knows no other
        np.random.seed(seed)  # noqa: NPY002
        try:
            return np.asarray(self.space.random_point(n)).reshape((n, *self.point_shape))
        finally:
            np.random.set_state(before)  # noqa: NPY002

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """geomstats' random points, drawn from this seed or generator without touching global state."""
        return self._random_points(rng, max(1, math.prod(size))).reshape((*size, *self.point_shape))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless geomstats says that p belongs to the space."""
        p = cleared(p, "p", self.point_shape, NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        belongs = self._call(lambda p: self.space.belongs(p, atol=atol), *self._points(p), shape=())
        if not np.all(belongs):
            raise NotOnManifold(
                f"p does not belong to {self!r}, says geomstats (tolerance {atol:.3g})"
                + (f"; {int(np.sum(~belongs))} of {belongs.size} points do not" if belongs.ndim else "")
                + ("; project it with M.project_point(p)" if self.has("project_point") else "")
            )

    # ---------------- trials

    @cached_property
    def _trial_points(self) -> Array:
        """Two random points."""
        return self._random_points(0, 2)

    @cached_property
    def _trial_vector(self) -> Array:
        """A tangent vector of length 0.1 at the first of them."""
        return self.get_vector(self._trial_points[0], np.full(self.dim, 0.1 / math.sqrt(self.dim)))

    @cached_property
    def _projects(self) -> bool:
        """Whether geomstats' projection keeps points of the space, and those nearby to first order."""

        def projection(z: Array) -> Array:
            return self._call(self.space.projection, *self._points(z), shape=self.point_shape)

        def is_retraction() -> bool:
            p, step = self._trial_points, 1e-3 * self._trial_vector
            off = 0.1 * float(np.max(np.abs(step)))
            return self._near(projection(p), p, 1e-8) and self._near(projection(p[0] + step), p[0] + step, off)

        return self._tried(is_retraction)

    def _try_project_point(self, found: set[str]) -> bool:
        return self._projects

    def _try_exp(self, found: set[str]) -> bool:
        p, X, h = self._trial_points[0], self._trial_vector, 1e-2
        if not self._tried(lambda: self._breaks in (False, True)):
            return False

        def starts_along_X() -> bool:
            slope = (self._exp(p, X, h) - self._exp(p, X, -h)) / (2 * h)
            return self._near(slope, X, 1e-2 * float(np.max(np.abs(X))))

        return self._tried(starts_along_X)

    def _try_log(self, found: set[str]) -> bool:
        p, X = self._trial_points[0], self._trial_vector
        return "exp" in found and self._tried(
            lambda: self._near(self._log(p, self._exp(p, X)), X, 1e-2 * float(np.max(np.abs(X))))
        )

    def _try_parallel_transport_to(self, found: set[str]) -> bool:
        p, X = self._trial_points[0], self._trial_vector

        def is_parallel() -> bool:
            q = self._exp(p, X)
            Y = self._transport(p, X, q)
            return self._near(Y, -self._log(q, p), 1e-5) and self._near(
                np.asarray(self.inner(q, Y, Y)), np.asarray(self.inner(p, X, X)), 1e-6
            )

        return "log" in found and self._tried(is_parallel)

    def _near(self, value: Array, expected: Array, tolerance: float) -> bool:
        return value.shape == expected.shape and bool(np.max(np.abs(value - expected)) <= tolerance)

    def _tried(self, trial: Callable[[], bool]) -> bool:
        """Whether a trial succeeds; geomstats answers in many ways that something is not there."""
        try:
            with np.errstate(all="ignore"):
                return trial()
        except Exception:
            return False


def _plain(a: Any, M: GeomstatsManifold) -> Array:
    """The NumPy array of an argument of another kind."""
    if isinstance(a, (np.ndarray, np.generic, float, int, list, tuple)):
        return np.asarray(a)
    raise TypeError(
        f"geomstats computes on NumPy arrays, but {M!r} was called with {type(a).__module__}.{type(a).__name__}, as "
        "differentiation does; inside a cost use M.distance or M.squared_distance, or give the gradient"
    )


def _fingerprint(x: Any, seen: dict[int, int]) -> Any:
    """A hashable value that equal parameters share, through nested objects and cycles of them."""
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes)):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return (np.asarray(x).dtype.str, np.shape(x), np.asarray(x).tobytes())
    if id(x) in seen:
        return ("again", seen[id(x)])
    seen[id(x)] = len(seen)
    if isinstance(x, (list, tuple)):
        return tuple(_fingerprint(y, seen) for y in x)
    if isinstance(x, dict):
        return tuple((str(k), _fingerprint(x[k], seen)) for k in sorted(x, key=str))
    if isinstance(x, types.MethodType):
        return (x.__func__.__qualname__, _fingerprint(x.__self__, seen))
    if isinstance(x, types.FunctionType):
        cells = tuple(_fingerprint(c.cell_contents, seen) for c in x.__closure__ or ())
        return (x.__module__, x.__qualname__, cells)
    if isinstance(x, type):
        return (x.__module__, x.__qualname__)
    # a basis is computed when first asked for
    inside = {k: v for k, v in getattr(x, "__dict__", {}).items() if k != "_basis"}
    return (type(x).__module__, type(x).__qualname__, _fingerprint(inside, seen))
