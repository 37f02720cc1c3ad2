"""Products of unit spheres in the form of one array: matrices with unit columns, unit complex numbers, unit arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.identified import Identified, paired, unpaired
from manifold_opt.manifolds.parameters import positive_integers, real_or_complex
from manifold_opt.manifolds.power import PowerManifold
from manifold_opt.manifolds.sphere import Sphere

__all__ = ["ArraySphere", "ComplexCircle", "Oblique"]

# lost in the sum with any length that is a normal number
_TINY = 1e-300
_DOUBLE, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


@dataclass(frozen=True, repr=False)
class Oblique(Identified):
    """Matrices of shape (m, n) whose n columns have length 1, with the Frobenius metric: a product of n spheres.

    Parameters
    ----------
    m, n : int
        Rows and columns.
    field : {"real", "complex"}
        Complex columns have length 1 in C^m, and the inner product is ``Re <X, Y>``.

    Raises
    ------
    ValueError
        If m or n is not a positive integer, or m is 1 and the field real.

    Notes
    -----
    The transpose is a point of the power of a sphere, and all operations are done there in one batch. Coordinates are
    those of the columns, one after the other.

    References
    ----------
    P.-A. Absil, K. A. Gallivan, Joint diagonalization on the oblique manifold for independent component analysis,
    ICASSP 2006.
    """

    m: int
    n: int
    field: str = "real"

    def __post_init__(self) -> None:
        m, n = positive_integers("the shape", (self.m, self.n), self)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "n", n)
        if real_or_complex(self.field) == "real" and m == 1:
            raise ValueError("m, the number of rows, must be 2 or more on a real Oblique, but it is 1")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows, columns."""
        return self.m, self.n

    @cached_property
    def model(self) -> Manifold:
        """Columns as copies of a real sphere."""
        return PowerManifold(Sphere(self.m * (2 if self.field == "complex" else 1) - 1), self.n)

    def _to(self, a: Array) -> Array:
        a = a.swapaxes(-1, -2)
        return paired(a) if self.field == "complex" else a

    def _back(self, a: Array) -> Array:
        return (unpaired(a) if self.field == "complex" else a).swapaxes(-1, -2)

    # ---------------- one real float64 matrix: the formulas of the sphere on columns, without the rearrangement

    def _short(self, *arrays: Array) -> bool:
        for a in arrays:
            if type(a) is not np.ndarray or a.dtype is not _DOUBLE or a.ndim != 2:
                return False
        return self.field == "real"

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re tr(X^H Y)``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 2 == Y.ndim == p.ndim:
            return float(np.vdot(X, Y).real)
        return super().inner(p, X, Y)

    def norm(self, p: Array, X: Array) -> Any:
        """The Frobenius norm."""
        if type(X) is np.ndarray and X.ndim == 2 == p.ndim:
            return math.sqrt(np.vdot(X, X).real)
        return super().norm(p, X)

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squared angles between columns."""
        if self._short(p, q):
            near = _near_columns(p, q)
            if near is not None:
                Y, c = near
                angles = np.arctan2(np.sqrt(_columns(Y, Y)), c)
                return math.sqrt(angles.dot(angles))
        return self.model.distance(self._to(p), self._to(q))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """That of the sphere on every column."""
        if type(t) is float and self._short(p, X):
            s = np.sqrt(_columns(X, X))
            a = s if t == 1.0 else t * s
            q = X * (np.sin(a) / (s + _TINY))  # zero columns of X stay zero
            q += p * np.cos(a)
            return np.divide(q, np.sqrt(_columns(q, q)), out=out)
        return super().exp(p, X, t, out=out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of the sphere on every column."""
        if self._short(p, q):
            near = _near_columns(p, q)
            if near is not None:
                Y, c = near
                s = np.sqrt(_columns(Y, Y))
                return np.multiply(Y, np.arctan2(s, c) / (s + _TINY), out=out)
        return super().log(p, q, out=out)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or the projection, on every column."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return super().retract(p, X, t, method=method, out=out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + tX`` with every column divided by its length."""
        if type(t) is float and self._short(p, X):
            y = p + X if t == 1.0 else p + t * X
            return np.divide(y, np.sqrt(_columns(y, y)), out=out)
        return self._retracted(self.model.get_retraction("projection"), p, X, t, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The reflection that takes every column of p to that of -q, on the columns of X."""
        if self._short(p, X, q):
            m = p + q
            s = _columns(m, m)
            if s.all():
                m *= 2.0 * _columns(m, X) / s
                return np.subtract(X, m, out=out)
        return super().parallel_transport_to(p, X, q, out=out)

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Parallel transport, or another one; see `Manifold.vector_transport_to`."""
        if method is None:
            return self.parallel_transport_to(p, X, q, out=out)
        return super().vector_transport_to(p, X, q, method=method, out=out)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Each column of Z less its part along that of p."""
        if self._short(p, Z):
            return Z - p * _columns(p, Z)
        return super().project_vector(p, Z)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The projection of G."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(H - X diag(p' G))``."""
        if self._short(p, G, H, X):
            W = H - X * _columns(p, G)
            W -= p * _columns(p, W)
            return W
        return super().riemannian_hessian(p, G, H, X)


def _columns(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The inner products of the columns of two matrices."""
    return np.einsum("ij,ij->j", A, B)


def _near_columns(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The parts of the columns of q normal to those of p, without cancellation, and cosines; None beyond a right angle.

    As on `Sphere`: the normal part of ``q - p`` has a rounding error relative to its own size.
    """
    Y = q - p
    a = _columns(p, Y)
    if not min(a.tolist()) > -1.0:
        return None
    Y -= p * a
    return Y, 1.0 + a


@dataclass(frozen=True, repr=False)
class ComplexCircle(Identified):
    """Arrays of n complex numbers of absolute value 1, with the inner product ``Re <X, Y>``.

    Parameters
    ----------
    n : int
        How many, default 1.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    Each number is a point of the circle in the plane of real and imaginary parts. Distances are angles in radians. A
    vector at p is ``i theta p`` with real theta, and its coordinates are theta up to sign.

    References
    ----------
    N. Boumal, Nonconvex phase synchronization, SIAM J. Optim. 26, 2016, section 3.
    """

    n: int = 1
    field = "complex"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis."""
        return (self.n,)

    @cached_property
    def model(self) -> Manifold:
        """Copies of the circle in the plane."""
        return PowerManifold(Sphere(1), self.n)

    def _to(self, a: Array) -> Array:
        pairs = paired(a)
        return pairs.reshape(tuple(pairs.shape[:-1]) + (self.n, 2))

    def _back(self, a: Array) -> Array:
        return unpaired(a)[..., 0]

    # ---------------- one complex128 array: formulas of complex numbers, without pairs

    def _short(self, *arrays: Array) -> bool:
        for a in arrays:
            if type(a) is not np.ndarray or a.dtype is not _COMPLEX or a.ndim != 1:
                return False
        return True

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re <X, Y>``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 1 == Y.ndim == p.ndim:
            return float(np.vdot(X, Y).real)
        return super().inner(p, X, Y)

    def norm(self, p: Array, X: Array) -> Any:
        """The length."""
        if type(X) is np.ndarray and X.ndim == 1 == p.ndim:
            return math.sqrt(np.vdot(X, X).real)
        return super().norm(p, X)

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squared angles."""
        if type(p) is np.ndarray and type(q) is np.ndarray and p.dtype is q.dtype is _COMPLEX and p.ndim == 1 == q.ndim:
            turn = _turns(p, q)
            return math.sqrt(turn.dot(turn))
        return self.model.distance(self._to(p), self._to(q))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p exp(i theta)`` for ``t X = i theta p``, divided by its absolute value."""
        if type(t) is float and self._short(p, X):
            q = p * np.exp((t * 1j) * (p.conj() * X).imag)
            return np.divide(q, np.abs(q), out=out)
        return super().exp(p, X, t, out=out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``i theta p`` with the angles theta from p to q."""
        if self._short(p, q):
            return np.multiply(1j * _turns(p, q), p, out=out)
        return super().log(p, q, out=out)

    def retract(
        self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """The exponential or the projection."""
        if method is None:
            return self.exp(p, X, t, out=out)
        return super().retract(p, X, t, method=method, out=out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + tX`` with every number divided by its absolute value."""
        if type(t) is float and self._short(p, X):
            y = p + X if t == 1.0 else p + t * X
            return np.divide(y, np.abs(y), out=out)
        return self._retracted(self.model.get_retraction("projection"), p, X, t, out=out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``i theta q`` for ``X = i theta p``."""
        if self._short(p, X, q):
            return np.multiply(1j * (p.conj() * X).imag, q, out=out)
        return super().parallel_transport_to(p, X, q, out=out)

    def vector_transport_to(
        self, p: Array, X: Array, q: Array, *, method: Any = None, out: Array | None = None
    ) -> Array:
        """Parallel transport, or another one; see `Manifold.vector_transport_to`."""
        if method is None:
            return self.parallel_transport_to(p, X, q, out=out)
        return super().vector_transport_to(p, X, q, method=method, out=out)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - Re(conj(p) Z) p``."""
        if type(p) is np.ndarray and type(Z) is np.ndarray and p.dtype is Z.dtype is _COMPLEX and p.ndim == 1 == Z.ndim:
            return Z - (p.conj() * Z).real * p
        return super().project_vector(p, Z)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The projection of G."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(H - Re(conj(p) G) X)``."""
        if self._short(p, G, H, X):
            c = p.conj()
            W = H - (c * G).real * X
            return W - (c * W).real * p
        return super().riemannian_hessian(p, G, H, X)


def _turns(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The angles from p to q: those of ``1 + conj(p) (q - p)``, which keeps the digits of small ones."""
    w = p.conj() * (q - p)
    return np.arctan2(w.imag, 1.0 + w.real)


@dataclass(frozen=True, init=False, repr=False)
class ArraySphere(Identified):
    """Arrays of any shape, real or complex, with Frobenius norm 1.

    Parameters
    ----------
    *shape : int
        ``ArraySphere(m, n)`` are matrices of norm 1; ``ArraySphere(n, field="complex")`` is the sphere of C^n.
    field : {"real", "complex"}
        The complex sphere has the inner product ``Re <X, Y>``.

    Raises
    ------
    ValueError
        If the shape is not positive integers, or leaves one real number.

    Notes
    -----
    The entries in C order, of complex arrays the parts of each side by side, are a point of `Sphere`.
    """

    shape: tuple[int, ...]
    field: str = "real"

    def __init__(self, *shape: int, field: str = "real") -> None:
        if len(shape) == 1 and isinstance(shape[0], tuple):
            shape = shape[0]
        object.__setattr__(self, "shape", positive_integers("the shape", shape, self))
        object.__setattr__(self, "field", real_or_complex(field))
        if math.prod(self.shape) == 1 and field == "real":
            raise ValueError(
                "the shape of a real ArraySphere must have two entries or more, since 1 and -1 are no manifold "
                "to optimize on"
            )

    def __repr__(self) -> str:
        """As it is called."""
        listed = ", ".join(map(str, self.shape))
        return f"ArraySphere({listed})" if self.field == "real" else f"ArraySphere({listed}, field='complex')"

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.shape

    @cached_property
    def model(self) -> Manifold:
        """Vectors of real numbers."""
        return Sphere(math.prod(self.shape) * (2 if self.field == "complex" else 1) - 1)

    def _to(self, a: Array) -> Array:
        flat = a.reshape(tuple(a.shape[: a.ndim - len(self.shape)]) + (math.prod(self.shape),))
        return paired(flat) if self.field == "complex" else flat

    def _back(self, a: Array) -> Array:
        flat = unpaired(a) if self.field == "complex" else a
        return flat.reshape(tuple(a.shape[:-1]) + self.shape)
