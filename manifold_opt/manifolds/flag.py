"""Flags: nested subspaces, represented by orthonormal frames in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import antihermitian, frame_polar, frame_qf, unitary_exp
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, is_numpy, namespace
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.stiefel import Stiefel
from manifold_opt.manifolds.stiefel_log import implicit_log, plain_values

__all__ = ["Flag"]

# Plain steps of the alignment converge at a rate near 1/2 for the longest distances inside of the injectivity radius.
_STEPS = 200


@dataclass(frozen=True, repr=False)
class Flag(Manifold):
    """The flags of R^n or C^n: subspaces of dimensions ``k1 < k2 < ... < kd``, each within the next.

    A point is an (n, kd) matrix p with ``p^H p = I`` whose first k1 columns span the first subspace, and so on. Turning
    the columns of a block among themselves gives the same flag. A tangent vector is horizontal: an (n, kd) matrix X
    with ``p^H X`` skew-Hermitian and zero in the diagonal blocks.

    Parameters
    ----------
    n : int
        Dimension of the space.
    dims : sequence of int
        Dimensions of the subspaces, increasing and below n.
    field : {"real", "complex"}
        What the entries are.

    Raises
    ------
    ValueError
        If the dimensions do not increase from 1 to n - 1 at most, or the field is unknown.

    Notes
    -----
    The metric is that of the quotient of the orthogonal group, ``Re tr(X^H (I - p p^H / 2) Y)``: every angle between
    two blocks counts once. ``Flag(n, [k])`` is `Grassmann(n, k)`. Geodesics have a closed form, `log` aligns the blocks
    of q with those of p until the velocity is horizontal. A cost must depend on the subspaces only.

    References
    ----------
    K. Ye, K. S.-W. Wong, L.-H. Lim, Optimization on flag manifolds, Math. Program. 194, 2022. T. Szwagier, X. Pennec,
    Rethinking the Riemannian logarithm on flag manifolds as an orthogonal alignment problem, GSI 2023.
    """

    n: int
    dims: tuple[int, ...]
    field: str = "real"

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner exp log get_coordinates get_vector project_point project_vector tangentialize riemannian_gradient
        riemannian_hessian euclidean_representer weingarten random_point check_point check_vector injectivity_radius
        sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "polar": "_retract_polar",
        "projection": "_retract_polar",
        "qr": "_retract_qr",
        "cayley": "_retract_cayley",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "polar": "_inverse_retract_polar",
        "projection": "_inverse_retract_polar",
        "qr": "_inverse_retract_qr",
        "cayley": "_inverse_retract_cayley",
    }
    transports: ClassVar[Mapping[str, str]] = {"projection": "_transport_projection"}
    default_retraction = "exponential"
    default_inverse_retraction = "logarithmic"
    default_transport = "projection"

    def __post_init__(self) -> None:
        frames.check_field(self.field)
        dims = (self.dims,) if isinstance(self.dims, (int, np.integer)) else tuple(self.dims)
        whole = [self.n, *dims]
        if any(isinstance(k, bool) or not isinstance(k, (int, np.integer)) for k in whole):
            raise ValueError(
                f"n and the dimensions of the subspaces must be integers, but they are {self.n!r}, {dims!r}"
            )
        if not dims or list(dims) != sorted(set(dims)) or dims[0] < 1 or dims[-1] >= self.n:
            raise ValueError(
                f"the dimensions of the subspaces must increase, from 1 on and below n = {self.n}, but they are {dims}"
            )
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "dims", tuple(int(k) for k in dims))

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("n", "dims", "field")}

    @property
    def k(self) -> int:
        """The dimension of the largest subspace: the number of columns."""
        return self.dims[-1]

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The columns of each block."""
        return tuple(slice(a, b) for a, b in zip((0, *self.dims), self.dims))

    @cached_property
    def model(self) -> Stiefel:
        """The frames, with the canonical metric, of which flags are a quotient."""
        return Stiefel(self.n, self.k, self.field, "canonical")

    @cached_property
    def _across(self) -> np.ndarray:
        """1 where row and column of a (k, k) matrix belong to different blocks."""
        block = np.repeat(np.arange(len(self.dims)), np.diff((0, *self.dims)))
        return (block[:, None] != block[None, :]).astype(float)

    @cached_property
    def _lower(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows and columns below the diagonal in different blocks, and for get_vector the place and sign of entries."""
        rows, columns = np.nonzero(np.tril(self._across))
        place = np.zeros((self.k, self.k), dtype=np.intp)
        sign = np.zeros((self.k, self.k))
        place[rows, columns] = place[columns, rows] = np.arange(1, rows.size + 1)
        sign[rows, columns], sign[columns, rows] = 1.0, -1.0
        return rows, columns, place, sign

    @property
    def _complex(self) -> bool:
        return self.field == "complex"

    @property
    def dim(self) -> int:
        """The sum of the products of the sizes of two different blocks, the complement among them; complex: twice."""
        sizes = np.diff((0, *self.dims, self.n))
        return int(np.sum(sizes) ** 2 - np.sum(sizes**2)) // (1 if self._complex else 2)

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows and columns of a frame."""
        return (self.n, self.k)

    @property
    def injectivity_radius(self) -> float:
        """Pi/2: the shortest closed geodesics swap a direction of a block for one of another and back."""
        return 0.5 * math.pi

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Between 0 and 2, complex 4: ``|[X, Y]_m|^2 / 4 + |[X, Y]_h|^2`` of a normal homogeneous space."""
        if self.dim == 1:
            return (0.0, 0.0)
        return (0.0, 4.0) if self._complex else (0.0, 2.0)

    def subspaces(self, p: Array) -> tuple[Array, ...]:
        """Frames of the nested subspaces, the first columns of p: views of a NumPy array."""
        return tuple(p[..., :, :k] for k in self.dims)

    # ---------------- metric and geodesics

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re tr(X^H Y)`` less half of ``Re tr(X^H p p^H Y)``."""
        return self.model.inner(p, X, Y)

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """That of frames with the canonical metric, along which horizontal velocities stay horizontal."""
        return self.model.exp(p, X, t, out=out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The logarithm of frames to that frame of q to which it is horizontal.

        The blocks of q are turned to be nearest to those of p, then by what is vertical in the logarithm, until nothing
        is; to rounding.

        Raises
        ------
        ValueError
            If the iteration does not converge, which happens near and beyond the cut locus.
        """
        return written(self._aligned(self.model.log, self.model.exp, p, q), out)

    def _aligned(self, inverse: Callable[..., Array], move: Callable[..., Array], p: Array, q: Array) -> Array:
        """The horizontal vector that an inverse retraction of frames gives for some frame of q."""
        if is_numpy(p, q):
            return self._aligned_values(inverse, p, q)
        # at that frame, which for derivatives is fixed, the retraction of frames is that of flags
        start, end = plain_values(p), plain_values(q)
        X = self._aligned_values(inverse, start, end)
        turn = _nearest_turn(self, end, move(start, X))
        return implicit_log(self, p, q @ namespace(p, q).asarray(turn), lambda *_: X, move)

    def _aligned_values(self, inverse: Callable[..., Array], p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Turn the blocks of q to be nearest to those of p, then by what is vertical, until nothing is."""
        dtype = np.result_type(p, q)
        wide = np.result_type(dtype, np.float64)
        p, q = broadcast_batch(2, p.astype(wide, copy=False), q.astype(wide, copy=False))
        turn, last = _nearest_turn(self, q, p), math.inf
        mixing = _Mixing()
        for _ in range(_STEPS):
            # without the rounding of products with ones: small differences keep their digits
            X = inverse(p, q + q @ (turn - np.eye(self.k)))
            vertical = self._vertical(p, X)
            size = float(np.max(np.abs(vertical), initial=0.0))
            if size <= 4e-16 * max(1.0, float(np.max(np.abs(X), initial=0.0))) or 0.5 * last < size <= 1e-13:
                return self.tangentialize(p, X).astype(dtype, copy=False)
            last = size
            turn = turn @ unitary_exp(mixing.step(-vertical))
        raise ValueError(
            f"log on {self!r} did not converge: q is near or beyond the cut locus of p; go there in several steps"
        )

    def _vertical(self, p: Array, X: Array) -> Array:
        """The diagonal blocks of ``p^H X``."""
        A = adjoint(p) @ X
        return antihermitian(A) * namespace(A).asarray(1.0 - self._across, dtype=A.dtype)

    # ---------------- retractions

    def _retract_polar(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The nearest frame to ``p + tX``."""
        return self.model._retract_polar(p, X, t, out=out)

    def _retract_qr(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The frame of the QR decomposition of ``p + tX``: the flag of the spans of its columns."""
        return self.model._retract_qr(p, X, t, out=out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The Cayley retraction of frames; second order."""
        return self.model._retract_cayley(p, X, t, out=out)

    def _inverse_retract_polar(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of frames, for the frame of q to which it is horizontal."""
        return written(self._aligned(self.model._inverse_retract_polar, self.model._retract_polar, p, q), out)

    def _inverse_retract_qr(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of frames, for the frame of q to which it is horizontal."""
        return written(self._aligned(self.model._inverse_retract_qr, self.model._retract_qr, p, q), out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of frames, for the frame of q to which it is horizontal."""
        return written(self._aligned(self.model._inverse_retract_cayley, self.model._retract_cayley, p, q), out)

    # ---------------- transports

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """X at the frame of p whose blocks are nearest to those of q, made horizontal."""
        return written(self.project_vector(q, X @ _nearest_turn(self, p, q)), out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Entries of ``p^H X`` between blocks, then those of ``Q^H X`` for the completion of p by Q: O(n k^2)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        A = adjoint(p) @ X
        rows, columns, _, _ = self._lower
        xp = namespace(p, X)
        inside = A[..., rows, columns]
        parts = [xp.real(inside), xp.imag(inside)] if self._complex else [inside]
        across = frames.pack(frames.complement_coordinates(p, X, A), self._complex)
        return written(xp.concatenate([*parts, across], axis=-1), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """``p A + Q B`` with these entries of A and B: O(n k^2)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        xp = namespace(c)
        rows, _, place, sign = self._lower
        m = rows.size
        zero = xp.zeros((*c.shape[:-1], 1), dtype=c.dtype)
        A = xp.concatenate([zero, c[..., :m]], axis=-1)[..., place] * xp.asarray(sign, dtype=c.dtype)
        if self._complex:
            imaginary = xp.concatenate([zero, c[..., m : 2 * m]], axis=-1)[..., place]
            A = A + 1j * (imaginary * xp.asarray(abs(sign), dtype=c.dtype))
        rest = c[..., (2 if self._complex else 1) * m :]
        B = frames.unpack(rest, (self.n - self.k, self.k), self._complex)
        return written(p @ A + frames.complement_vector(p, B), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The nearest frame, the polar factor."""
        return frame_polar(z)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Z less ``p`` times what is Hermitian in ``p^H Z``, or in its diagonal blocks."""
        return Z - p @ self._normal_part(adjoint(p) @ Z)

    def _normal_part(self, C: Array) -> Array:
        """C without what is skew-Hermitian between blocks."""
        return C - antihermitian(C) * namespace(C).asarray(self._across, dtype=C.dtype)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """As `project_vector`."""
        return self.project_vector(p, X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``G - p G^H p``, made horizontal: for costs of flags it is."""
        return self.project_vector(p, self.model.riemannian_gradient(p, G))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """That of frames with the canonical metric, made horizontal."""
        return self.project_vector(p, self.model.riemannian_hessian(p, G, H, X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``X - p p^H X / 2``."""
        return self.model.euclidean_representer(p, X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-P(X N)`` for the normal part ``p N`` of V, in the metric of the embedding."""
        return -self.project_vector(p, X @ self._normal_part(adjoint(p) @ V))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform: the frame of a matrix of independent normal entries."""
        return frame_qf(frames.gaussian(rng, (*size, self.n, self.k), self.field))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field, and has orthonormal columns."""
        try:
            self.model.check_point(p, atol)
        except NotOnManifold as error:
            raise NotOnManifold(f"in the frame of a point of {self!r}: {error}") from None

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the field, and ``p^H X`` skew-Hermitian with zero diagonal blocks."""
        X = frames.checked(X, "X", self.point_shape, self.field, NotTangent)
        atol = frames.tolerance(X, atol)
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        A = adjoint(np.asarray(p)) @ X
        off = float(np.max(np.abs(A - antihermitian(A) * self._across), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must have a skew-Hermitian p^H X with zero diagonal blocks to be tangent to {self!r}, but an entry "
                f"is off by {off:.3g} (tolerance {atol * size:.3g}); project it with M.project_vector(p, X)"
            )


class _Mixing:
    """Anderson's acceleration of a fixed-point iteration, for the members of a batch each by itself.

    The step is the residual less the combination of the last ones that fits it best, as if they added up.

    References
    ----------
    H. F. Walker, P. Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49, 2011.
    """

    depth = 4

    def __init__(self) -> None:
        self.steps: list[np.ndarray] = []
        self.falls: list[np.ndarray] = []
        self.before: np.ndarray | None = None

    def step(self, residual: np.ndarray) -> np.ndarray:
        """The step for this residual, whose own axes are the last two."""
        f = residual.reshape((*residual.shape[:-2], -1)).copy()
        f = f.view(f.real.dtype)
        if self.before is not None:
            if not np.linalg.norm(f) < np.linalg.norm(self.before):
                self.steps, self.falls = [], []  # start again with a plain step
            else:
                self.falls.append(f - self.before)
                self.steps, self.falls = self.steps[-self.depth :], self.falls[-self.depth :]
        step = f
        if self.falls:
            F, S = np.stack(self.falls, axis=-1), np.stack(self.steps, axis=-1)
            A = np.swapaxes(F, -1, -2) @ F
            # falls that depend on each other, or of members that have arrived, take no part
            shift = 1e-12 * np.trace(A, axis1=-2, axis2=-1)[..., None, None] + 1e-60
            weights = np.linalg.solve(A + shift * np.eye(A.shape[-1]), np.swapaxes(F, -1, -2) @ f[..., None])
            step = f - ((S + F) @ weights)[..., 0]
        self.steps.append(step)
        self.before = f
        return np.ascontiguousarray(step).view(residual.dtype).reshape(residual.shape)


def _nearest_turn(M: Flag, q: Array, p: Array) -> Array:
    """The block diagonal unitary R for which ``q R`` is nearest to p."""
    xp = namespace(p, q)
    C = adjoint(q) @ p
    rows = []
    for block in M.blocks:
        R = frame_polar(C[..., block, block])
        before, after = block.start, M.k - block.stop
        parts = [0.0 * C[..., block, :before], R, 0.0 * C[..., block, M.k - after :]]
        rows.append(xp.concatenate(parts, axis=-1))
    return xp.concatenate(rows, axis=-2)

