"""Shapes of sets of landmarks: what is left without location, size and orientation."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_qf, solve_batch
from manifold_opt.linalg.namespace import Array, is_numpy, namespace, transpose
from manifold_opt.linalg.rotation import hat, vee
from manifold_opt.linalg.small import nearest_rotation
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.parameters import positive_integers
from manifold_opt.manifolds.pre_shape import Landmarks
from manifold_opt.manifolds.sphere import angle_over_sine, cos_sinc, safe_atan2

__all__ = ["KendallShape"]

# Nodes of the collocation that carries vectors along: the first number, doubled up to the last until the result keeps
# its length and stays horizontal to this share of it. Arrays that are differentiated get the first.
_NODES, _MOST_NODES, _TOLERANCE = 24, 192, 1e-13


@dataclass(frozen=True, repr=False)
class KendallShape(Landmarks):
    """Kendall's shapes: k landmarks in R^n without location, size and orientation.

    A point is represented by a pre-shape, a (k, n) array p with mean zero and norm 1, landmarks in rows; ``p R`` with a
    rotation R is the same shape, mirror images are not. A tangent vector is horizontal: a centered (k, n) array X with
    ``<p, X> = 0`` and ``p'X`` symmetric. At ``p R`` it is ``X R``.

    Parameters
    ----------
    k, n : int
        Number of landmarks and of coordinates of each, ``2 <= n <= k``.

    Raises
    ------
    ValueError
        If the numbers do not fit, or all shapes are one.

    Notes
    -----
    Distances are angles of at most pi/2 between optimally rotated pre-shapes. A cost must not depend on the rotation.
    `log`, `distance` and the transports take any rotation of q; `exp` returns the rotation that is nearest to p. For
    n = 2 this is the complex projective space of dimension k - 2; for n > 2 shapes that lie in a subspace of
    codimension 2 are left out, and curvature is unbounded near them.

    References
    ----------
    D. G. Kendall, Shape manifolds, Procrustean metrics, and complex projective spaces, Bull. London Math. Soc. 16,
    1984. H. Le, Locating Fréchet means with application to shape spaces, Adv. Appl. Probab. 33, 2001.
    """

    k: int
    n: int

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance exp log parallel_transport_to parallel_transport_direction get_coordinates get_vector
        project_point project_vector tangentialize riemannian_gradient riemannian_hessian weingarten random_point
        check_point check_vector injectivity_radius injectivity_radius_at sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"

    def __post_init__(self) -> None:
        k, n = positive_integers("k and n", (self.k, self.n), self)
        object.__setattr__(self, "k", k)
        object.__setattr__(self, "n", n)
        if not 2 <= n <= k or (k, n) == (2, 2):
            raise ValueError(
                f"KendallShape(k, n) of k landmarks in R^n needs 2 <= n <= k and three landmarks at least, but k = {k} "
                f"and n = {n}; landmarks come first, and on the line shapes are pre-shapes"
            )

    @property
    def default_transport(self) -> str:
        """Parallel in the plane, where it has a closed form; by projection above."""
        return "parallel" if self.n == 2 else "projection"

    @property
    def _turns(self) -> int:
        return self.n * (self.n - 1) // 2

    @property
    def dim(self) -> int:
        """``n (k - 1) - 1 - n (n - 1) / 2``."""
        return (self.k - 1) * self.n - 1 - self._turns

    @property
    def injectivity_radius(self) -> float:
        """A right angle in the plane; above 0, because of shapes on a subspace of codimension 2."""
        return 0.5 * math.pi if self.n == 2 else 0.0

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """A lower bound, the least in a batch: as far as the optimal rotation stays the identity along every geodesic.

        ``p'exp(p, X) = cos(t) p'p + sin(t) p'X`` keeps two smallest eigenvalues of positive sum, and that of the unit
        vector X is at least ``-sqrt(2)`` times the largest singular value of p.
        """
        if self.n == 2:
            return 0.5 * math.pi
        s = np.linalg.svd(p, compute_uv=False)
        least = s[..., -2] ** 2 + (s[..., -1] ** 2 if s.shape[-1] == self.n else 0.0)
        return float(np.min(np.arctan2(least, math.sqrt(2.0) * s[..., 0])))

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Planar shapes are a complex projective space of curvature between 1 and 4; above no bound from above."""
        if self.n == 2:
            return (4.0, 4.0) if self.dim == 2 else (1.0, 4.0)
        return (1.0, math.inf)

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(X'Y)``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 2 == Y.ndim == p.ndim:
            return float(np.vdot(X, Y))
        xp = namespace(X, Y)
        value = frobenius(xp, X, Y, 2)
        return scalar(value) if p.ndim == 2 or value.ndim else xp.broadcast_to(value, p.shape[:-2])

    def _seen(self, p: Array, q: Array) -> tuple[Array, Array, Array, Array]:
        """The horizontal part of the nearest rotation of q, its squared length, cosine, and the rotation R.

        ``q R - p = (q - p) + q (R - I)`` keeps its digits for close shapes, since R - I is first made that of an
        orthogonal matrix to the precision of its own size; what error is left turns p, and is projected out.
        """
        xp = namespace(p, q)
        R = _rotation(p, q)
        E = R - xp.eye(self.n, dtype=R.dtype)
        E = E - 0.5 * (R @ (E + transpose(E) + transpose(E) @ E))
        D = q - p + q @ E
        Y = self.project_vector(p, D)
        return Y, frobenius(xp, Y, Y, 2), 1.0 - 0.5 * frobenius(xp, D, D, 2), R

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between p and the nearest rotation of q."""
        return _angle(*self._seen(p, q))

    # ---------------- geodesics and retractions

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``cos(t |X|) p + t sinc(t |X|) X``: great circles of the sphere with a horizontal velocity."""
        xp = namespace(p, X, t)
        tX = X if type(t) is float and t == 1.0 else expanded(t, 2) * X
        cos, sinc = cos_sinc(xp, frobenius(xp, tX, tX, 2))
        return written(_unit(self._centered(expanded(cos, 2) * p + expanded(sinc, 2) * tX)), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of the nearest rotation of q times its angle."""
        return written(_scaled(*self._seen(p, q)), out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(p + t X) / |p + t X|``; second order."""
        return written(_unit(self._centered(p + expanded(t, 2) * X)), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q R / <p, q R> - p`` for the nearest rotation."""
        Y, _, c, _ = self._seen(p, q)
        if is_numpy(p, q) and not np.all(c > 8.0 * np.finfo(Y.dtype).eps):
            raise ValueError(
                "inverse_retract(method='projection') on shapes needs an angle below pi/2, but its cosine is "
                f"{float(np.min(c)):.3g}; use M.log(p, q)"
            )
        return written(Y / expanded(c, 2), out)

    # ---------------- transports

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """X at the rotation of p nearest to q, projected."""
        R = _rotation(p, q)
        return written(self.project_vector(q, X @ transpose(R)), out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """Along the shortest geodesic, given at q as it is stored."""
        found = self._seen(p, q)
        moved = self.parallel_transport_direction(p, X, _scaled(*found)) @ transpose(found[-1])
        return written(self.project_vector(q, moved), out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """Along the geodesic g of d: ``X - <X, d> (sinc|d| p + cosc|d| d) + int g W dt`` with W skew-symmetric.

        In the plane the integral is that of ``-<X, d J> g J`` with the right angle J. Above, W solves
        ``S W + W S + int_0^t (G W + W G) = -cos(t |d|) (d'X - X'd)`` with ``S = g'g`` at t and ``G = g'(t)' g(s)``, all
        of size (n, n): by Gauss collocation on all of [0, 1], the number of nodes doubled until the answer is
        horizontal and of the right length to 1e-13 of it.

        Raises
        ------
        ValueError
            If 192 nodes do not reach that (NumPy arrays only).

        References
        ----------
        B. O'Neill, The fundamental equations of a submersion, Michigan Math. J. 13, 1966. N. Guigui, E. Maignant, A.
        Trouvé, X. Pennec, Parallel transport on Kendall shape spaces, GSI 2021.
        """
        xp = namespace(p, X, d)
        s = frobenius(xp, d, d, 2)
        sinc, half = cos_sinc(xp, s)[1], cos_sinc(xp, 0.25 * s)[1]
        sinc, cosc = expanded(sinc, 2), expanded(0.5 * half * half, 2)
        base = X - expanded(frobenius(xp, X, d, 2), 2) * (sinc * p + cosc * d)
        if self.n == 2:
            J = xp.asarray(np.array([[0.0, -1.0], [1.0, 0.0]]), dtype=p.dtype)
            pJ, dJ = p @ J, d @ J
            return written(base - expanded(frobenius(xp, X, dJ, 2), 2) * (sinc * pJ + cosc * dJ), out)
        if not is_numpy(p, X, d):
            a, b = _turns(p, X, d, _NODES)
            return written(base + p @ a + d @ b, out)
        nodes, end = _NODES, self.exp(p, d)
        length = np.sqrt(frobenius(np, X, X, 2))
        # what single precision allows
        tolerance = max(_TOLERANCE, 8.0 * float(np.finfo(base.dtype).eps))
        while True:
            a, b = _turns(p, X, d, nodes)
            Y = base + p @ a + d @ b
            W = transpose(end) @ Y
            off = np.maximum(
                np.abs(np.sqrt(frobenius(np, Y, Y, 2)) - length), np.max(np.abs(W - transpose(W)), axis=(-2, -1))
            )
            if np.all(off <= tolerance * length + np.finfo(base.dtype).tiny):
                return written(self.project_vector(end, Y), out)
            nodes *= 2
            if nodes > _MOST_NODES:
                raise ValueError(
                    f"the parallel transport on {self!r} has not reached its tolerance (off by {np.max(off):.3g}): the "
                    "geodesic comes too close to shapes on a subspace of codimension 2; use method='projection'"
                )

    # ---------------- coordinates

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """The entries in the order of coordinates, and back: one of the diagonal and those above it come first.

        At these entries p and its rotations are linearly independent for almost all p; the reflection that completes
        them to a basis needs that. At the first entries in C order they are not from n = 4 on.
        """
        places = np.arange((self.k - 1) * self.n).reshape(self.k - 1, self.n)
        first = np.concatenate([places[:1, 0], places[np.triu_indices(self.k - 1, 1, self.n)]])
        order = np.concatenate([first, np.setdiff1d(places, first)])
        return order, np.argsort(order)

    def _flat(self, Z: Array) -> Array:
        return Z.reshape((*Z.shape[:-2], (self.k - 1) * self.n))[..., self._order[0]]

    def _normals(self, p: Array) -> Array:
        """An orthonormal frame of the span of the contrasts of p and of their rotations, one column for each."""
        p = self._contrasts(p)
        xp = namespace(p)
        turns = hat(xp.asarray(np.eye(self._turns), dtype=p.dtype))
        whole = xp.concatenate([p[..., None, :, :], p[..., None, :, :] @ turns], axis=-3)
        return frame_qf(transpose(self._flat(whole)))

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """By the block reflection that completes p and its rotations to a basis of all centered arrays: O(k n^5)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        column = self._flat(self._contrasts(X))[..., None]
        c = frames.complement_coordinates(self._normals(p), column, 0.0 * column[..., : 1 + self._turns, :])
        return written(c[..., 0], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The vector with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        X = frames.complement_vector(self._normals(p), c[..., None])[..., self._order[1], 0]
        return written(self._landmarks(X.reshape((*X.shape[:-1], self.k - 1, self.n))), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The landmarks less their mean, divided by their norm.

        Raises
        ------
        ValueError
            If all landmarks coincide.
        """
        z = self._centered(z)
        if type(z) is np.ndarray and not np.all(np.any(z != 0, axis=(-2, -1))):
            raise ValueError(f"all landmarks coincide, and no point of {self!r} is nearest; move one")
        return _unit(z)

    def _turn(self, p: Array, Z: Array) -> Array:
        """The skew-symmetric W such that ``p'(Z - p W)`` is symmetric."""
        C = transpose(p) @ Z
        C = C - transpose(C)
        if self.n == 2:
            return C / expanded(frobenius(namespace(p), p, p, 2), 2)
        # in coordinates of skew-symmetric matrices: the equation has no other solution where p'p has a zero eigenvalue
        S = _on_turns(namespace(p), transpose(p) @ p, self._turns)
        return hat(solve_batch(S, vee(C)[..., None])[..., 0])

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - <p, Z> p - p W`` with ``p'p W + W p'p = p'Z - Z'p``, for Z less its mean."""
        Z = self._centered(Z)
        Z = Z - expanded(frobenius(namespace(p, Z), p, Z, 2), 2) * p
        return Z - p @ self._turn(p, Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """As `project_vector`."""
        return self.project_vector(p, X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The projection of G."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """The projection of ``H - <p, G> X``, for a function that does not depend on the rotation."""
        return self.project_vector(p, H - expanded(frobenius(namespace(p, G), p, G, 2), 2) * X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """The projection of ``-<p, V> X - X W`` where ``V = <p, V> p + p W``."""
        along = expanded(frobenius(namespace(p, V), p, V, 2), 2)
        return self.project_vector(p, -along * X - X @ self._turn(p, V))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Independent normal landmarks."""
        return self.project_point(np.random.default_rng(rng).standard_normal((*size, self.k, self.n)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, centered, of norm 1, and its landmarks span a hyperplane at least."""
        super().check_point(p, atol)
        p = np.asarray(p)
        s = np.linalg.svd(p, compute_uv=False)
        if self.n > 2 and not np.all(s[..., self.n - 2] > np.finfo(p.dtype).eps):
            raise NotOnManifold(
                f"the landmarks of p must span a subspace of dimension {self.n - 1} at least: rotations about a "
                "subspace that holds them all leave p as it is, and shapes have no tangent space there"
            )

    def align(self, p: Array, q: Array) -> Array:
        """The rotation of q that is nearest to p, a point that is the same shape as q."""
        return q @ _rotation(p, q)


def _angle(Y: Array, s2: Array, c: Array, _: Array) -> Any:
    xp = namespace(Y)
    return scalar(np.arctan2(np.sqrt(s2), c)) if xp is np else safe_atan2(xp, s2, c)


def _scaled(Y: Array, s2: Array, c: Array, _: Array) -> Array:
    return expanded(angle_over_sine(namespace(Y), s2, c), 2) * Y


def _rotation(p: Array, q: Array) -> Array:
    """The rotation R that takes ``q R`` nearest to p; in the plane its cosine and sine are sums of entries of q'p."""
    A = transpose(q) @ p
    if A.shape[-1] > 2:
        return nearest_rotation(A)
    xp = namespace(A)
    c, s = A[..., 0, 0] + A[..., 1, 1], A[..., 1, 0] - A[..., 0, 1]
    r2 = c * c + s * s
    none = r2 == 0  # every rotation is as near: the identity
    one = xp.ones_like(r2)
    r = xp.sqrt(xp.where(none, one, r2))
    c, s = xp.where(none, one, c / r), s / r
    return xp.stack([xp.stack([c, -s], axis=-1), xp.stack([s, c], axis=-1)], axis=-2)


def _unit(z: Array) -> Array:
    xp = namespace(z)
    return z / xp.sqrt(frobenius(xp, z, z, 2))[..., None, None]


@functools.lru_cache(maxsize=8)
def _collocation(nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss nodes t on [0, 1], weights, and the integrals from 0 to t_i of the Lagrange polynomial that is 1 at t_j.

    From the expansion of that polynomial in Legendre's: ``l_j = w_j sum_k (2k + 1) P_k(x_j) P_k / 2`` on [-1, 1], and
    ``int P_k = (P_(k+1) - P_(k-1)) / (2k + 1)``.
    """
    x, w = np.polynomial.legendre.leggauss(nodes)
    P = np.polynomial.legendre.legvander(x, nodes)
    integrals = np.empty((nodes, nodes))
    integrals[:, 0] = x + 1.0
    integrals[:, 1:] = (P[:, 2:] - P[:, :-2]) / (2.0 * np.arange(1, nodes) + 1.0)
    degrees = np.arange(nodes)
    A = 0.5 * integrals @ ((2.0 * degrees + 1.0)[:, None] * P[:, :-1].T * w)
    return 0.5 * (x + 1.0), 0.5 * w, 0.5 * A


def _turns(p: Array, X: Array, d: Array, nodes: int) -> tuple[Array, Array]:
    """a and b with ``int_0^1 g W dt = p a + d b`` along the geodesic ``g = cos(t |d|) p + t sinc(t |d|) d``."""
    xp = namespace(p, X, d)
    n = p.shape[-1]
    m = n * (n - 1) // 2
    t, w, A = (xp.asarray(x, dtype=d.dtype) for x in _collocation(nodes))
    s = frobenius(xp, d, d, 2)[..., None]
    cos, sinc = cos_sinc(xp, t * t * s)
    alpha, beta, slope = cos, t * sinc, -s * t * sinc  # g = alpha p + beta d, g' = slope p + cos d
    S, B, D, K = transpose(p) @ p, transpose(p) @ d, transpose(d) @ d, transpose(d) @ X
    S, B, D = (_on_turns(xp, C, m)[..., None, None, :, :] for C in (S, B, D))

    def outer(x: Array, y: Array) -> Array:
        return x[..., :, None] * y[..., None, :]

    def blocks(*weights: Array) -> Array:
        return sum(x[..., None, None] * C for x, C in zip(weights, (S, B, D)))

    here = xp.eye(nodes, dtype=d.dtype)
    now = blocks(
        here * (alpha * alpha)[..., None], here * (2.0 * alpha * beta)[..., None], here * (beta * beta)[..., None]
    )
    past = blocks(A * outer(slope, alpha), A * (outer(slope, beta) + outer(cos, alpha)), A * outer(cos, beta))
    whole = now + past
    matrix = xp.moveaxis(whole, -2, -3).reshape((*whole.shape[:-4], nodes * m, nodes * m))
    right = -cos[..., :, None] * vee(K - transpose(K))[..., None, :]
    flat = right.reshape((*right.shape[:-2], nodes * m, 1))
    W = solve_batch(matrix, flat).reshape((*right.shape[:-2], nodes, m))
    return tuple(hat(xp.sum((w * x)[..., None] * W, axis=-2)) for x in (alpha, beta))


def _on_turns(xp: Any, G: Array, m: int) -> Array:
    """The matrix of ``W -> G W + W G`` in coordinates of skew-symmetric matrices, for symmetric G."""
    if m == 3:  # rotation vectors: tr(G) I - G
        one = xp.eye(3, dtype=G.dtype)
        return xp.sum(G * one, axis=(-2, -1))[..., None, None] * one - G
    E = hat(xp.asarray(np.eye(m), dtype=G.dtype))
    Z = G[..., None, :, :] @ E + E @ G[..., None, :, :]
    return transpose(vee(Z))
