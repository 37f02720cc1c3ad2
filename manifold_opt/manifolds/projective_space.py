"""Lines through the origin, real and complex."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, safe_sqrt_of
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.parameters import positive_integers, real_or_complex
from manifold_opt.manifolds.sphere import angle_over_sine, cos_sinc, safe_atan2

__all__ = ["ProjectiveSpace"]


@dataclass(frozen=True, repr=False)
class ProjectiveSpace(Manifold):
    """Lines through the origin of R^(n+1) or C^(n+1), each stored as one of its unit vectors.

    Parameters
    ----------
    n : int
        Dimension over the field; points have shape ``(n + 1,)``.
    field : {"real", "complex"}
        In complex projective space, of real dimension 2 n, unit vectors are the same up to a phase.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    The quotient of the unit sphere by signs or phases, with the metric ``Re <X, Y>`` of its horizontal vectors, those
    with ``p^H X = 0`` (Fubini-Study where complex). Distances are angles between lines, at most pi/2. ``log`` and
    ``distance`` do not depend on which unit vector stands for q; transported vectors belong to the q that was given.

    A cost must not depend on the sign or phase. ``log`` keeps its relative accuracy where p and q are close as vectors;
    where they are close only as lines its error is that of the rounding of p.

    References
    ----------
    P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton, 2008, sections 3.4,
    3.6. S. Kobayashi, K. Nomizu, Foundations of Differential Geometry II, 1969, section XI.10.
    """

    n: int
    field: str = "real"

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner norm distance exp log mid_point parallel_transport_to parallel_transport_direction "
        "get_coordinates get_vector project_point project_vector riemannian_gradient riemannian_hessian weingarten "
        "random_point check_point check_vector injectivity_radius injectivity_radius_at "
        "sectional_curvature_bounds".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])
        real_or_complex(self.field)

    @property
    def dim(self) -> int:
        """The real dimension: n, or 2 n if complex."""
        return self.n * (2 if self.field == "complex" else 1)

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One more entry than n."""
        return (self.n + 1,)

    @property
    def injectivity_radius(self) -> float:
        """Orthogonal lines: pi/2."""
        return 0.5 * math.pi

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The angle pi/2 for the exponential; infinite for the projection, one to one onto lines not orthogonal."""
        return math.inf if retraction == "projection" else 0.5 * math.pi

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Real: 1, and no planes on a line. Complex: 4 on complex lines, down to 1 on planes free of them."""
        if self.field == "complex":
            return (1.0, 4.0) if self.n > 1 else (4.0, 4.0)
        return (1.0, 1.0) if self.n > 1 else (0.0, 0.0)

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re <X, Y>``."""
        value = frobenius(namespace(X, Y), X, Y, 1)
        batch = self._batch(p)
        return scalar(value) if value.ndim or not batch else namespace(value).broadcast_to(value, batch)

    def norm(self, p: Array, X: Array) -> Any:
        """The length of X."""
        return safe_sqrt_of(self.inner(p, X, X))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between the lines, radians between 0 and pi/2."""
        xp = namespace(p, q)
        _, s2, c, _ = self._rejection(xp, p, q)
        return scalar(safe_atan2(xp, s2, c))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``cos(t |X|) p + t sinc(t |X|) X``, divided by its norm."""
        xp = namespace(p, X, t)
        tX = expanded(t, 1) * X
        cos, sinc = cos_sinc(xp, frobenius(xp, tX, tX, 1))
        return written(_unit(xp, cos[..., None] * p + sinc[..., None] * tX), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of the nearest representative of q times the angle; a fixed representative for orthogonal q."""
        xp = namespace(p, q)
        Y, s2, c, _ = self._rejection(xp, p, q)
        return written(angle_over_sine(xp, s2, c)[..., None] * Y, out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """The unit vector along p + q for the representative of q nearest to p."""
        xp = namespace(p, q)
        return _unit(xp, p + self._rejection(xp, p, q)[3] * q)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(p + t X) / |p + t X|``, of second order."""
        xp = namespace(p, X, t)
        return written(_unit(xp, p + expanded(t, 1) * X), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The part of q orthogonal to p over ``|p^H q|``."""
        xp = namespace(p, q)
        Y, _, c, _ = self._rejection(xp, p, q)
        if xp is np and not np.all(c > 0):
            raise ValueError(
                "inverse_retract(method='projection') needs lines that are not orthogonal, but p and q are; use M.log"
            )
        return written(Y / c[..., None], out)

    # ---------------- transports and coordinates

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """``X - 2 m m^H X`` with the middle m, turned to the representative q that was given."""
        xp = namespace(p, X, q)
        unit = self._rejection(xp, p, q)[3]
        m = _unit(xp, p + unit * q)
        return written(self._conj(unit) * (X - 2.0 * self._dot(xp, m, X) * m), out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """``X - ((1 - cos|d|)/|d|^2 d + sinc|d| p) d^H X``, along the geodesic however long it is."""
        xp = namespace(p, X, d)
        s = frobenius(xp, d, d, 1)
        half = cos_sinc(xp, 0.25 * s)[1]
        turn = expanded(0.5 * half * half, 1) * d + expanded(cos_sinc(xp, s)[1], 1) * p
        return written(X - self._dot(xp, d, X) * turn, out)

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates in O(n) by a Householder reflection; complex: real parts, then imaginary parts."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        xp = namespace(p, X)
        sign, p0, rest = self._pivot(xp, p)
        c = X[..., 1:] - (self._conj(sign) * X[..., :1] / (1.0 + p0)) * rest
        if self.field == "complex":
            c = xp.concatenate([xp.real(c), xp.imag(c)], axis=-1)
        return written(c, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The horizontal vector with these orthonormal coordinates, in O(n)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        xp = namespace(p, c)
        if self.field == "complex":
            c = c[..., : self.n] + 1j * c[..., self.n :]
        sign, p0, rest = self._pivot(xp, p)
        along = self._dot(xp, rest, c)
        tail = c - along / (1.0 + p0) * rest
        return written(xp.concatenate([-sign * along, tail], axis=-1), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """``z / |z|``.

        Raises
        ------
        ValueError
            If z is zero.
        """
        xp = namespace(z)
        if xp is np and not np.all(np.any(z != 0, axis=-1)):
            raise ValueError("project_point on projective space needs z != 0, but z is zero, which spans no line")
        return _unit(xp, z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - p p^H Z``."""
        return Z - self._dot(namespace(p, Z), p, Z) * p

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``G - p p^H G``."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P H - Re(p^H G) X``; of a cost that does not depend on the phase ``p^H G`` is real."""
        return self.project_vector(p, H) - frobenius(namespace(p, G), p, G, 1)[..., None] * X

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-(p^H V) X``."""
        return -self._dot(namespace(p, V), p, V) * X

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform."""
        rng = np.random.default_rng(rng)
        z = rng.standard_normal((*size, self.n + 1))
        return _unit(np, z + 1j * rng.standard_normal(z.shape) if self.field == "complex" else z)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the right field and of unit length."""
        p = self._cleared(p, "p", NotOnManifold)
        atol = default_atol(p) if atol is None else atol
        off = float(np.max(np.abs(np.linalg.norm(p, axis=-1) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have length 1 to stand for a point of {self!r}, but its length is off by {off:.3g} (tolerance "
                f"{atol:.3g}); project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the right field and ``p^H X`` is zero."""
        X = self._cleared(X, "X", NotTangent)
        atol = default_atol(X) if atol is None else atol
        size = np.maximum(1.0, np.linalg.norm(X, axis=-1))
        off = float(np.max(np.abs(self._dot(np, np.asarray(p), X)[..., 0]) / size, initial=0.0))
        if not off <= atol:
            raise NotTangent(
                f"X must have p^H X = 0 to be a horizontal vector of {self!r}, but |p^H X| / max(1, |X|) is {off:.3g} "
                f"(tolerance {atol:.3g}); project it with M.project_vector(p, X)"
            )

    def _cleared(self, a: Any, name: str, error: type[ValueError]) -> Array:
        a = cleared(a, name, self.point_shape, error)
        if self.field == "real" and a.dtype.kind == "c":
            raise error(f"{name} must be real for {self!r}, but its dtype is {a.dtype}; use field='complex'")
        return a

    # ---------------- numbers of the field

    def _conj(self, a: Array) -> Array:
        return namespace(a).conj(a) if self.field == "complex" else a

    def _dot(self, xp: Any, a: Array, b: Array) -> Array:
        """``a^H b`` with an axis kept."""
        if xp is np:
            return np.einsum("...i,...i->...", self._conj(a), b)[..., None]
        return xp.sum(self._conj(a) * b, axis=-1)[..., None]

    def _pivot(self, xp: Any, p: Array) -> tuple[Array, Array, Array]:
        """The sign or phase (1 at zero) and absolute value of the first entry, and the other entries."""
        p0 = p[..., :1]
        size = _modulus(xp, p0)
        return _phase(xp, p0, size), size, p[..., 1:]

    def _rejection(self, xp: Any, p: Array, q: Array) -> tuple[Array, Array, Array, Array]:
        """The part of ``unit q`` orthogonal to p, its squared length, ``|p^H q|``, and the unit that turns q to p.

        From the difference of q and the multiple of p near it: exact subtraction where the vectors are close, and for
        real lines always.
        """
        c = self._dot(xp, p, q)
        size = _modulus(xp, c)
        phase = _phase(xp, c, size)
        one = xp.ones_like(phase)
        turned = xp.where(abs(c - one) < 0.5, one, phase) if self.field == "complex" else phase
        e = q - turned * p
        unit = self._conj(phase)
        Y = unit * (e - self._dot(xp, p, e) * p)
        return Y, frobenius(xp, Y, Y, 1), size[..., 0], unit


def _unit(xp: Any, z: Array) -> Array:
    return z / xp.sqrt(frobenius(xp, z, z, 1))[..., None]


def _modulus(xp: Any, c: Array) -> Array:
    """The absolute value, with derivative zero at zero."""
    if xp is np:
        return np.abs(c)
    square = xp.real(c) ** 2 + xp.imag(c) ** 2 if "complex" in str(c.dtype) else c * c
    zero = square == 0
    one = xp.ones_like(square)
    return xp.where(zero, 0.0 * square, xp.sqrt(xp.where(zero, one, square)))


def _phase(xp: Any, c: Array, size: Array) -> Array:
    """The number over its absolute value, 1 at zero."""
    one = xp.ones_like(c)
    zero = size == 0
    return xp.where(zero, one, c / xp.where(zero, xp.ones_like(size), size))
