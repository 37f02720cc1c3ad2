"""A manifold that checks every argument and every result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.wrapped import Wrapped

__all__ = ["Validated"]


@dataclass(frozen=True, repr=False)
class Validated(Wrapped):
    """A manifold whose operations check that points are points and vectors tangent, on the way in and on the way out.

    Parameters
    ----------
    manifold : Manifold
        The manifold.
    atol : float, optional
        Absolute tolerance of the constraints; default ``eps**(2/3)`` of the dtype.

    Raises
    ------
    TypeError
        If `manifold` is no manifold.

    Notes
    -----
    To find what a solver, a gradient or a manifold of one's own does wrong: hand a solver ``Validated(M)`` in place of
    M. An error says which argument of which operation is off, by how much, and where: the member of a batch, the copy
    of a power, the factor of a product. A gradient that is not tangent is found at the first inner product with it.
    Arrays of other libraries, as during differentiation, pass unchecked. Every call costs its checks, O(n^3) on
    matrices.
    """

    manifold: Manifold
    atol: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.manifold, Manifold):
            raise TypeError(f"manifold must be a Manifold, but it is {self.manifold!r}")

    @property
    def frobenius_scale(self) -> None:
        """None, so that powers ask for inner products and do not sum the entries themselves."""
        return None

    # abstract ones, spelled out for type checkers; the table below gives them their checks

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """As in the inner manifold, checked."""
        return self._checked("inner", self.manifold.inner, (p, X, Y), {})

    def project_vector(self, p: Array, Z: Array) -> Array:
        """As in the inner manifold, checked."""
        return self._checked("project_vector", self.manifold.project_vector, (p, Z), {})

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """As in the inner manifold, checked."""
        return self._checked("random_point", self.manifold.random_point, (rng, size), {})

    def get_retraction(self, method: Any = None) -> Callable[..., Array]:
        """One that checks; a callable gets the inner manifold."""
        return _Checked(self, "retract", self.manifold.get_retraction(method))

    def get_inverse_retraction(self, method: Any = None) -> Callable[..., Array]:
        """One that checks; a callable gets the inner manifold."""
        return _Checked(self, "inverse_retract", self.manifold.get_inverse_retraction(method))

    def get_transport(self, method: Any = None) -> Callable[..., Array]:
        """One that checks; a callable gets the inner manifold."""
        return _Checked(self, "vector_transport_to", self.manifold.get_transport(method))

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """As in the inner manifold, checked."""
        f = lambda p, X, **keywords: self.manifold.get_coordinates(p, X, basis, **keywords)
        return self._checked("get_coordinates", f, (p, X), {"out": out})

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """As in the inner manifold, checked."""
        f = lambda p, c, **keywords: self.manifold.get_vector(p, c, basis, **keywords)
        return self._checked("get_vector", f, (p, c), {"out": out})

    # ---------------- checking

    def _checked(
        self, operation: str, f: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """f of the arguments, which and whose result are checked as the table says."""
        kinds, result_kind = _KINDS[operation]
        named = dict(zip(kinds, arguments))
        if namespace(*(a for a in arguments if hasattr(a, "shape"))) is not np:
            return f(*arguments, **keywords)
        for kind, a in named.items():
            self._check(kind, a, named, f"argument {kind} of {operation}")
        at = named.copy()  # before the call: out may be an argument
        if keywords.get("out") is not None:
            at = {kind: a.copy() if isinstance(a, np.ndarray) else a for kind, a in named.items()}
        result = f(*arguments, **keywords)
        self._check(result_kind, result, at, f"the result of {operation}")
        return result

    def _check(self, kind: str, a: Any, named: dict[str, Any], what: str) -> None:
        M = self.manifold
        if kind in ("p", "q", "point"):
            self._require(what, NotOnManifold, M.point_shape, (a,), lambda a: M.check_point(a, self.atol))
        elif kind in ("X", "Y", "d", "vector", "vector at q"):
            p = named["q" if kind == "vector at q" else "p"]
            k = len(M.vector_shape)
            self._require(
                what, NotTangent, M.vector_shape, (a, _spread(p, a, k, len(M.point_shape))),
                lambda a, p: M.check_vector(p, a, self.atol),
            )
        elif kind == "c" or kind == "coordinates":
            self._finite(what, a, (M.dim,))
        elif kind in ("z", "Z", "G", "H", "V"):
            # sparse matrices and operators are derivatives too
            if type(a) is np.ndarray:
                self._finite(what, a, M.embedding_shape)
        elif kind == "scalar":
            if not np.all(np.isfinite(a)):
                raise ValueError(f"{what} of {M!r} is not finite: {a!r}")

    def _finite(self, what: str, a: Any, shape: tuple[int, ...]) -> None:
        try:
            cleared(a, "it", shape, ValueError)
        except ValueError as error:
            raise ValueError(f"{what} of {self.manifold!r} is off: {error}") from None

    def _require(
        self, what: str, kind: type[ValueError], shape: tuple[int, ...], arrays: tuple[Array, ...], check: Any
    ) -> None:
        try:
            check(*arrays)
        except ValueError as error:
            batch = np.shape(arrays[0])[: np.ndim(arrays[0]) - len(shape)]
            message = str(error)
            for i in np.ndindex(*batch) if batch else ():
                try:
                    check(*(a[i] for a in arrays))
                except ValueError as one:
                    message = f"in member {list(i)} of the batch: {one}"
                    break
            raise kind(f"{what} is off: {message}") from None


def _spread(p: Array, X: Array, k: int, j: int) -> Array:
    """The points of a batch of vectors."""
    batch = p.shape[: p.ndim - j]
    if np.ndim(X) >= k:
        batch = np.broadcast_shapes(batch, X.shape[: X.ndim - k])
    return np.broadcast_to(p, (*batch, *p.shape[p.ndim - j :]))


@dataclass(frozen=True)
class _Checked:
    """A resolved retraction, inverse or transport with its checks; pickles with it."""

    manifold: Validated
    operation: str
    function: Callable[..., Array]

    def __call__(self, *arguments: Any, **keywords: Any) -> Array:
        return self.manifold._checked(self.operation, self.function, arguments, keywords)


# Arguments in order, and the result, of every operation that is checked.
_KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "inner": (("p", "X", "Y"), "scalar"),
    "norm": (("p", "X"), "scalar"),
    "distance": (("p", "q"), "scalar"),
    "squared_distance": (("p", "q"), "scalar"),
    "exp": (("p", "X", "t"), "point"),
    "retract": (("p", "X", "t"), "point"),
    "geodesic": (("p", "X", "t"), "point"),
    "log": (("p", "q"), "vector"),
    "inverse_retract": (("p", "q"), "vector"),
    "mid_point": (("p", "q"), "point"),
    "vector_transport_to": (("p", "X", "q"), "vector at q"),
    "parallel_transport_to": (("p", "X", "q"), "vector at q"),
    "vector_transport_direction": (("p", "X", "d"), "any"),
    "parallel_transport_direction": (("p", "X", "d"), "any"),
    "get_coordinates": (("p", "X"), "coordinates"),
    "get_vector": (("p", "c"), "vector"),
    "project_point": (("z",), "point"),
    "project_vector": (("p", "Z"), "vector"),
    "tangentialize": (("p",), "vector"),
    "embed_vector": (("p", "X"), "any"),
    "embed_point": (("p",), "any"),
    "riemannian_gradient": (("p", "G"), "vector"),
    "riemannian_hessian": (("p", "G", "H", "X"), "vector"),
    "riemannian_gradient_from_storage": (("p",), "vector"),
    "riemannian_hessian_from_storage": (("p", "g", "h", "X"), "vector"),
    "euclidean_direction": (("p", "X"), "any"),
    "euclidean_representer": (("p", "X"), "any"),
    "storage_representer": (("p", "X"), "any"),
    "storage_vector": (("p", "X"), "any"),
    "weingarten": (("p", "X", "V"), "vector"),
    "random_point": ((), "point"),
    "random_vector": (("p",), "vector"),
}


def _method(name: str) -> Callable[..., Any]:
    def method(self: Validated, *arguments: Any, **keywords: Any) -> Any:
        return self._checked(name, getattr(self.manifold, name), arguments, keywords)

    method.__name__, method.__doc__ = name, "As in the inner manifold, checked."
    return method


for _name in _KINDS:
    if _name not in vars(Validated):
        setattr(Validated, _name, _method(_name))
