r"""Families of residuals between poses, rotations and points, with their Jacobians.

Poses T = (R, t) are points of ``SpecialEuclidean(d)`` in the plane or in space, many of them a power of it. A tangent
vector with coordinates (omega, v), rotation first, moves T to (R exp(omega), t + R v), so with u = R_i'(t_j - t_i) and
R_ij = R_i'R_j to first order

    delta R_ij = R_ij hat(omega_j) - hat(omega_i) R_ij,        delta u = R_ij v_j - v_i - omega_i x u.

Each function here returns a `ResidualBlock` of all edges at once, for a variable of the product manifold that is a
power. Residuals of poses have the translation first, as the information matrices of g2o files do.

References
----------
.. [1] J. Solà, J. Deray, D. Atchuthan, A micro Lie theory for state estimation in robotics, arXiv 1812.01537.
.. [2] D. M. Rosen, L. Carlone, A. S. Bandeira, J. J. Leonard, SE-Sync, IJRR 38 (2019): the chordal objective.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import cotc, cotc_slope, namespace, sinc
from ..linalg.rotation import rotation_log1p, vee
from ..linalg.scalars import safe_sqrt
from ..objectives.blocks import ResidualBlock

# above this angle, 0.86 pi, the axis of a rotation is no longer read off its skew part
_FAR = math.acos(-0.9)
# instances at a time: what is in between stays in the cache, and in memory that the allocator keeps
_CHUNK, _LARGE_CHUNK = 1024, 8192


# Inside this file the instances are on the LAST axis, so that a matrix is (d, d, N) and each entry a contiguous array:
# a product of two of them takes a third of the time of one of N small matrices.
def _mul(A: Any, B: Any) -> Any:
    return namespace(A, B).einsum("abn,bcn->acn", A, B)


def _tmul(A: Any, B: Any) -> Any:
    """A'B."""
    return namespace(A, B).einsum("ban,bcn->acn", A, B)


def _mult(A: Any, B: Any) -> Any:
    """A B'."""
    return namespace(A, B).einsum("abn,cbn->acn", A, B)


def _back(A: Any, x: Any) -> Any:
    """A'x."""
    return namespace(A, x).einsum("ban,bn->an", A, x)


def _dot(x: Any, y: Any) -> Any:
    return namespace(x, y).einsum("an,an->n", x, y)


def _last(x: Any) -> Any:
    """(N, k) as (k, N)."""
    return np.ascontiguousarray(x.T) if type(x) is np.ndarray else x.T


def _parts(p: Any) -> tuple[Any, Any]:
    """Rotations (d, d, N) and translations (d, N) of points of SE(d), given as (N, d (d + 1))."""
    d = 2 if p.shape[-1] == 6 else 3
    x = _last(p)
    return namespace(x).reshape(x[: d * d], (d, d, -1)), x[d * d :]


def _matrices(R: Any) -> Any:
    """(N, d, d) as (d, d, N)."""
    d = R.shape[-1]
    return namespace(R).reshape(_last(namespace(R).reshape(R, (-1, d * d))), (d, d, -1))


def _relative(p: Any, q: Any) -> tuple[Any, Any]:
    """R_ij and u of T_i^-1 T_j."""
    (R, t), (S, s) = _parts(p), _parts(q)
    return _tmul(R, S), _back(R, s - t)


def _error(Q: Any, u: Any, Z: Any) -> tuple[Any, Any]:
    """Rotation and translation of Z^-1 (Q, u)."""
    S, z = _parts(Z)
    return _tmul(S, Q), _back(S, u - z)


def _rotation_vector(E: Any) -> Any:
    """Logarithm of rotations, as coordinates (1 or 3, N)."""
    xp = namespace(E)
    if E.shape[0] == 2:
        return xp.arctan2(E[1, 0] - E[0, 1], E[0, 0] + E[1, 1])[None]
    if type(E) is not np.ndarray:
        E = xp.moveaxis(E, -1, 0)
        return vee(rotation_log1p(E - xp.eye(3, dtype=E.dtype))).T
    v = np.stack((E[2, 1] - E[1, 2], E[0, 2] - E[2, 0], E[1, 0] - E[0, 1]))
    sine, cosine = np.sqrt(_dot(v, v)), E[0, 0] + E[1, 1] + E[2, 2] - 1.0  # both twice
    angle = np.arctan2(sine, cosine)
    v *= angle / np.where(sine > 0.0, sine, 1.0)
    far = angle > _FAR
    if far.any():
        v[:, far] = vee(rotation_log1p(E[:, :, far].transpose(2, 0, 1) - np.eye(3))).T
    return v


def _cross(x: Any, y: Any) -> Any:
    xp = namespace(x, y)
    a, b, c = x[0], x[1], x[2]
    f, g, h = y[0], y[1], y[2]
    return xp.stack((b * h - c * g, c * f - a * h, a * g - b * f))


def _quarter(x: Any) -> Any:
    """Vectors of the plane turned by a quarter of a circle."""
    return namespace(x).stack((-x[1], x[0]))


def _hat(w: Any) -> Any:
    """The matrix of x -> w x x, in space; NumPy only, as all that follows for Jacobians."""
    W = np.zeros((3, 3, w.shape[1]), w.dtype)
    W[2, 1], W[0, 2], W[1, 0] = w
    W[1, 2], W[2, 0], W[0, 1] = -w
    return W


def _moment(x: Any) -> Any:
    """The matrix of omega -> omega x x, of shape (d, k, N)."""
    return _quarter(x)[:, None] if len(x) == 2 else _hat(-x)


def _add_to_diagonal(A: Any, x: Any) -> Any:
    for a in range(len(A)):
        A[a, a] += x
    return A


def _turned_back(w: Any, e: Any) -> Any:
    """V(w)^-1 e, the velocity of the twist of the group that ends at the rotation by w and at e: [1], (146)."""
    if len(w) == 1:
        return e - 0.5 * w * _quarter(e) - (w * w * cotc(w)) * e
    c = _cross(w, e)
    return e - 0.5 * c + cotc(safe_sqrt(_dot(w, w))) * _cross(w, c)


class _Chunked:
    """A function of arrays with the instances first, evaluated for so many instances at a time; picklable by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = function.__name__.strip("_")
        self.__qualname__ = function.__name__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__

    def __reduce__(self) -> str:
        return self.__qualname__

    def __call__(self, *arrays: Any) -> Any:
        n = len(arrays[0])
        chunk = _CHUNK if self.__name__.endswith("jacobian") else _LARGE_CHUNK
        if n <= chunk or type(arrays[0]) is not np.ndarray:
            return self.function(*arrays)
        results: Any = None
        for start in range(0, n, chunk):
            rows = slice(start, start + chunk)
            part = self.function(*[x[rows] for x in arrays])
            parts = part if isinstance(part, tuple) else (part,)
            if results is None:
                results = [np.empty((n, *x.shape[1:]), x.dtype) for x in parts]
            for result, x in zip(results, parts, strict=True):
                result[rows] = x
        return tuple(results) if isinstance(part, tuple) else results[0]


def _family(
    residual: Any, jacobian: Any, variables: Any, indices: Any, data: Any, options: dict[str, Any]
) -> ResidualBlock:
    options.setdefault("name", residual.__name__)
    indices = tuple(np.asarray(index) for index in indices)
    return ResidualBlock(residual, variables, indices=indices, data=data, jacobian=jacobian, **options)


# ---------------------------------------------------------------------------------------------------------- poses
@_Chunked
def _pose_between(p: Any, q: Any, Z: Any) -> Any:
    return _twist(*_error(*_relative(p, q), Z)).T


def _twist(E: Any, e: Any) -> Any:
    """Log of poses by the group's logarithm, translation first."""
    w = _rotation_vector(E)
    return namespace(w).concatenate((_turned_back(w, e), w), axis=0)


def _right_derivative(E: Any, e: Any) -> tuple[Any, Any, Any]:
    """C, D and A with d Log(E exp(c)) = [[C, D], [0, A]] c, c = (rotation, translation), rows translation first.

    In space D = A = I + K/2 + g K^2 is the inverse right Jacobian of rotations, K the skew matrix of w and g = cotc(t),
    and C its derivative along the velocity v: L/2 + g (K L + L K) + (g'/t) (w'v) K^2, with L the skew matrix of v. In
    the plane D = V(-w)^-1, A = 1, and C = (I - D) v / w.
    """
    w = _rotation_vector(E)
    v = _turned_back(w, e)
    if len(w) == 1:
        g = w[0] * cotc(w[0])
        D = np.empty((2, 2, w.shape[1]), w.dtype)
        D[0, 0] = D[1, 1] = 1.0 - w[0] * g
        D[1, 0], D[0, 1] = 0.5 * w[0], -0.5 * w[0]
        return (g * v - 0.5 * _quarter(v))[:, None], D, np.ones_like(w)[None]
    square = _dot(w, w)
    t = np.sqrt(square)
    g, along = cotc(t), _dot(w, v)
    K2 = _add_to_diagonal(w[:, None] * w, -square)
    A = _hat(0.5 * w)
    A += g * K2
    _add_to_diagonal(A, 1.0)
    wv = w[:, None] * v
    C = _add_to_diagonal(wv + wv.swapaxes(0, 1), -2.0 * along)
    C *= g
    K2 *= cotc_slope(t) * along
    C += K2
    C += _hat(0.5 * v)
    return C, A, A


@_Chunked
def _pose_between_jacobian(p: Any, q: Any, Z: Any) -> tuple[Any, Any]:
    Q, u = _relative(p, q)
    C, D, A = _right_derivative(*_error(Q, u, Z))
    d, k = len(Q), len(A)
    # the inverse of the relative pose acts on twists by [[Q', 0], [-Q' hat(u), Q']], or [[1, 0], [Q' J u, Q']]
    DQ = _mult(D, Q)
    if d == 3:
        corner = _mult(C, Q) - _mul(DQ, _hat(u))
        turn = _mult(A, Q) if A is not D else DQ
    else:
        corner, turn = C + _mul(DQ, _quarter(u)[:, None]), A
    return _joined(d, k, -corner, -DQ, -turn), _joined(d, k, C, D, A)


def _joined(d: int, k: int, C: Any, D: Any, A: Any) -> Any:
    """[[C, D], [A, 0]] of d + k rows, the instances on the first axis."""
    J = np.empty((C.shape[-1], d + k, k + d), C.dtype)
    J[:, :d, :k] = np.moveaxis(C, -1, 0)
    J[:, :d, k:] = np.moveaxis(D, -1, 0)
    J[:, d:, :k] = np.moveaxis(A, -1, 0)
    J[:, d:, k:] = 0.0
    return J


@_Chunked
def _pose_prior(p: Any, Z: Any) -> Any:
    return _twist(*_error(*_parts(p), Z)).T


@_Chunked
def _pose_prior_jacobian(p: Any, Z: Any) -> Any:
    C, D, A = _right_derivative(*_error(*_parts(p), Z))
    return _joined(len(D), len(A), C, D, A)


def pose_between(i: Any, j: Any, measurements: Any, *, variable: str = "poses", **options: Any) -> ResidualBlock:
    r"""Relative poses: r = Log(Z^-1 T_i^-1 T_j), Log the logarithm of the group SE(d), translation first.

    Parameters
    ----------
    i, j : array of int, shape (N,)
        Numbers of the poses.
    measurements : array of shape (N, d (d + 1))
        Z, about T_i^-1 T_j: points of ``SpecialEuclidean(d)``, d = 2 or 3.
    variable : str
        Name of the factor of the product that holds the poses, a power of ``SpecialEuclidean(d)``.
    **options
        Of `ResidualBlock`: ``sqrt_information``, ``covariance``, ``weight``, ``loss``, ``name``.

    Returns
    -------
    ResidualBlock
        N residuals of d (d + 1) / 2 numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import PowerManifold, ProductManifold, SpecialEuclidean, functions, levenberg_marquardt
    >>> SE2 = SpecialEuclidean(2)
    >>> Z = SE2.join(np.eye(2), np.array([[1.0, 0.0], [1.0, 0.5]]))
    >>> start = SE2.identity()[None]
    >>> blocks = [
    ...     functions.pose_prior([0], start),
    ...     functions.pose_between([0, 1], [1, 2], Z),
    ... ]
    >>> M = ProductManifold(poses=PowerManifold(SE2, 3))
    >>> result = levenberg_marquardt(M, blocks, M.join(np.repeat(start, 3, axis=0)))
    >>> np.round(SE2.split(M.split(result.point)[0])[1], 8) + 0.0
    array([[0. , 0. ],
           [1. , 0. ],
           [2. , 0.5]])
    """
    Z = np.asarray(measurements, dtype=float)
    return _family(_pose_between, _pose_between_jacobian, (variable,) * 2, (i, j), (Z,), options)


def pose_prior(i: Any, poses: Any, *, variable: str = "poses", **options: Any) -> ResidualBlock:
    """Absolute poses: r = Log(Z^-1 T_i), Log the logarithm of the group SE(d), translation first.

    Parameters
    ----------
    i : array of int, shape (N,)
        Numbers of the poses.
    poses : array of shape (N, d (d + 1))
        Z, where they should be.
    variable, **options
        See `pose_between`.

    Returns
    -------
    ResidualBlock
    """
    Z = np.asarray(poses, dtype=float)
    return _family(_pose_prior, _pose_prior_jacobian, (variable,), (i,), (Z,), options)


# ---------------------------------------------------------------------------------------------- chordal distances
@_Chunked
def _chordal_between(p: Any, q: Any, Z: Any, root_kappa: Any, root_tau: Any) -> Any:
    Q, u = _relative(p, q)
    S, z = _parts(Z)
    w = _rotation_vector(_tmul(S, Q))
    return namespace(w).concatenate((root_tau * (u - z), root_kappa * _chord(w)), axis=0).T


def _chord(w: Any) -> Any:
    """2 sqrt 2 sin(t/2) axis: a vector as long as the chord |E - I| of the rotation E by w."""
    t = w[0] if len(w) == 1 else safe_sqrt(_dot(w, w))
    return math.sqrt(2.0) * sinc(0.5 * t) * w


def _chord_derivative(w: Any) -> Any:
    """Derivative of the chord by c in E exp(c): sqrt 2 (cos(t/2) I + sin(t/2) hat(axis)), of unit quaternions."""
    if len(w) == 1:
        return math.sqrt(2.0) * np.cos(0.5 * w)[None]
    t = np.sqrt(_dot(w, w))
    return _add_to_diagonal(_hat(math.sqrt(0.5) * sinc(0.5 * t) * w), math.sqrt(2.0) * np.cos(0.5 * t))


@_Chunked
def _chordal_between_jacobian(p: Any, q: Any, Z: Any, root_kappa: Any, root_tau: Any) -> tuple[Any, Any]:
    Q, u = _relative(p, q)
    S, _ = _parts(Z)
    D = root_kappa * _chord_derivative(_rotation_vector(_tmul(S, Q)))
    d, k = len(Q), len(D)
    # E = Z'exp(-omega_i)R_ij = exp(-Z'omega_i) E, and the derivative from the left is the transpose
    turn = -D if d == 2 else -np.einsum("ban,cbn->acn", D, S)
    A = _joined(d, k, -root_tau * _moment(u), np.zeros_like(Q), turn)
    for a in range(d):
        A[:, a, k + a] = -root_tau
    B = _joined(d, k, np.zeros_like(Q[:, :k]), root_tau * Q, D)
    return A, B


def chordal_between(
    i: Any, j: Any, measurements: Any, kappa: Any, tau: Any, *, variable: str = "poses", **options: Any
) -> ResidualBlock:
    r"""Relative poses by chordal distances: |r|^2 = kappa |R_j - R_i Z|^2 + tau |t_j - t_i - R_i z|^2.

    Parameters
    ----------
    i, j : array of int, shape (N,)
        Numbers of the poses.
    measurements : array of shape (N, d (d + 1))
        (Z, z), about T_i^-1 T_j.
    kappa, tau : float or array of shape (N,)
        Concentrations of rotation and translation, see `PoseGraph.isotropic_weights`.
    variable, **options
        See `pose_between`; weights are here already.

    Returns
    -------
    ResidualBlock
        N residuals of d (d + 1) / 2 numbers.

    Notes
    -----
    The d x d numbers of R_j - R_i Z, by Frobenius' norm, are replaced by as many as there are angles: the vector
    2 sqrt 2 sin(t/2) a, with t and a the angle and axis of Z'R_i'R_j, has the same norm for every t, half the size, and
    a Gauss-Newton model that is closer to the second derivative.
    """
    Z = np.asarray(measurements, dtype=float)
    roots = [np.sqrt(np.broadcast_to(np.asarray(x, dtype=float), len(Z))) for x in (kappa, tau)]
    return _family(_chordal_between, _chordal_between_jacobian, (variable,) * 2, (i, j), (Z, *roots), options)


# -------------------------------------------------------------------------------------- rotations and translations
@_Chunked
def _relative_rotation(R: Any, S: Any, Z: Any) -> Any:
    R, S, Z = _matrices(R), _matrices(S), _matrices(Z)
    return _rotation_vector(_tmul(Z, _tmul(R, S))).T


@_Chunked
def _relative_rotation_jacobian(R: Any, S: Any, Z: Any) -> tuple[Any, Any]:
    R, S, Z = _matrices(R), _matrices(S), _matrices(Z)
    Q = _tmul(R, S)
    E = _tmul(Z, Q)
    B = _right_derivative(E, np.zeros_like(E[0]))[2]
    A = -B if len(B) == 1 else -_mult(B, Q)
    return np.moveaxis(A, -1, 0), np.moveaxis(B, -1, 0)


def relative_rotation(i: Any, j: Any, rotations: Any, *, variable: str = "rotations", **options: Any) -> ResidualBlock:
    """Relative rotations: r = log(Z'R_i'R_j), an angle in the plane, a rotation vector in space.

    Parameters
    ----------
    i, j : array of int, shape (N,)
        Numbers of the rotations.
    rotations : array of shape (N, d, d)
        Z, about R_i'R_j.
    variable : str
        Name of a power of ``Rotations(d)``, d = 2 or 3.
    **options
        See `pose_between`.

    Returns
    -------
    ResidualBlock
    """
    Z = np.asarray(rotations, dtype=float)
    return _family(_relative_rotation, _relative_rotation_jacobian, (variable,) * 2, (i, j), (Z,), options)


@_Chunked
def _relative_translation(p: Any, q: Any, z: Any) -> Any:
    (R, t), (_, s) = _parts(p), _parts(q)
    return _back(R, s - t).T - z


@_Chunked
def _relative_translation_jacobian(p: Any, q: Any, z: Any) -> tuple[Any, Any]:
    Q, u = _relative(p, q)
    d, k = len(Q), 1 if len(Q) == 2 else 3
    A, B = np.zeros((u.shape[1], d, k + d), u.dtype), np.zeros((u.shape[1], d, k + d), u.dtype)
    A[:, :, :k] = np.moveaxis(-_moment(u), -1, 0)
    A[:, :, k:] = -np.eye(d)
    B[:, :, k:] = np.moveaxis(Q, -1, 0)
    return A, B


def relative_translation(
    i: Any, j: Any, translations: Any, *, variable: str = "poses", **options: Any
) -> ResidualBlock:
    """Relative translations: r = R_i'(t_j - t_i) - z.

    Parameters
    ----------
    i, j : array of int, shape (N,)
        Numbers of the poses.
    translations : array of shape (N, d)
        z, where pose j stands in the frame of pose i.
    variable, **options
        See `pose_between`.

    Returns
    -------
    ResidualBlock
    """
    z = np.asarray(translations, dtype=float)
    indices = (i, j)
    return _family(_relative_translation, _relative_translation_jacobian, (variable,) * 2, indices, (z,), options)


# ------------------------------------------------------------------------------------------------------- landmarks
def _seen(p: Any, x: Any) -> Any:
    """R'(x - t): a point in the frame of a pose."""
    R, t = _parts(p)
    return _back(R, _last(x) - t)


def _seen_jacobian(p: Any, a: Any) -> tuple[Any, Any]:
    """Derivatives of a = R'(x - t) by the pose, a x omega - v, and by the point, instances last."""
    R, _ = _parts(p)
    d, k = len(a), 1 if len(a) == 2 else 3
    A = np.zeros((d, k + d, a.shape[1]), a.dtype)
    A[:, :k] = -_moment(a)
    for i in range(d):
        A[i, k + i] = -1.0
    return A, R.swapaxes(0, 1)


def _by_both(D: Any, p: Any, a: Any) -> tuple[Any, Any]:
    """Derivatives of a function of a whose derivative is D (m, d, N)."""
    A, B = _seen_jacobian(p, a)
    return np.moveaxis(_mul(D, A), -1, 0), np.moveaxis(_mul(D, B), -1, 0)


@_Chunked
def _landmark(p: Any, x: Any, z: Any) -> Any:
    return _seen(p, x).T - z


@_Chunked
def _landmark_jacobian(p: Any, x: Any, z: Any) -> tuple[Any, Any]:
    A, B = _seen_jacobian(p, _seen(p, x))
    return np.moveaxis(A, -1, 0), np.moveaxis(B, -1, 0)


def landmark(
    i: Any, j: Any, positions: Any, *, poses: str = "poses", landmarks: str = "landmarks", **options: Any
) -> ResidualBlock:
    """Landmarks seen from poses: r = R_i'(x_j - t_i) - z.

    Parameters
    ----------
    i, j : array of int, shape (N,)
        Numbers of the poses and of the landmarks.
    positions : array of shape (N, d)
        z, where the landmark is in the frame of the pose.
    poses, landmarks : str
        Names of a power of ``SpecialEuclidean(d)`` and of one of ``Euclidean(d)``.
    **options
        See `pose_between`.

    Returns
    -------
    ResidualBlock
    """
    z = np.asarray(positions, dtype=float)
    return _family(_landmark, _landmark_jacobian, (poses, landmarks), (i, j), (z,), options)


@_Chunked
def _range(p: Any, x: Any, z: Any) -> Any:
    a = _seen(p, x)
    return (safe_sqrt(_dot(a, a)) - z)[:, None]


@_Chunked
def _range_jacobian(p: Any, x: Any, z: Any) -> tuple[Any, Any]:
    a = _seen(p, x)
    size = np.sqrt(_dot(a, a))
    return _by_both((a / np.where(size > 0.0, size, 1.0))[None], p, a)


def range_to_landmark(
    i: Any, j: Any, distances: Any, *, poses: str = "poses", landmarks: str = "landmarks", **options: Any
) -> ResidualBlock:
    """Distances of landmarks: r = |x_j - t_i| - z.

    Parameters
    ----------
    i, j, poses, landmarks, **options
        See `landmark`.
    distances : array of shape (N,)
        z.

    Returns
    -------
    ResidualBlock
        Where pose and landmark coincide the derivative is taken as zero.
    """
    z = np.asarray(distances, dtype=float)
    return _family(_range, _range_jacobian, (poses, landmarks), (i, j), (z,), options)


def _sides(a: Any, z: Any, B: Any) -> tuple[Any, Any]:
    """Parts of a across and along the unit vector z, given the basis B of what is across."""
    return namespace(a).einsum("nab,an->bn", B, a), _dot(_last(z), a)


@_Chunked
def _bearing(p: Any, x: Any, z: Any, B: Any) -> Any:
    across, along = _sides(_seen(p, x), z, B)
    xp = namespace(across)
    if len(across) == 1:
        return xp.arctan2(across, along[None]).T
    return (_slope(xp, safe_sqrt(_dot(across, across)), along) * across).T


def _slope(xp: Any, size: Any, along: Any) -> Any:
    """Angle over sine times length: atan2(size, along) / size, and what it tends to straight ahead."""
    zero = size == 0.0
    ahead = 1.0 / xp.where(along == 0.0, xp.ones_like(along), along)
    return xp.where(zero, ahead, xp.arctan2(size, along) / xp.where(zero, xp.ones_like(size), size))


@_Chunked
def _bearing_jacobian(p: Any, x: Any, z: Any, B: Any) -> tuple[Any, Any]:
    a = _seen(p, x)
    y, along = _sides(a, z, B)
    z, Bt = _last(z), np.moveaxis(B, 0, -1).swapaxes(0, 1)
    square = _dot(y, y)
    total = np.where(square + along * along > 0.0, square + along * along, 1.0)
    if len(y) == 1:
        D = (along * Bt - y[:, None] * z) / total
    else:
        # r = f y, f = atan2(s, c) / s with s = |y|, c = z'a: of dy the part across y counts f, that along it c / total
        size = np.sqrt(square)
        unit = y / np.where(size > 0.0, size, 1.0)
        f = _slope(np, size, along)
        P = _add_to_diagonal((along / total - f) * (unit[:, None] * unit), f)
        D = _mul(P, Bt) - (y / total)[:, None] * z
    return _by_both(D, p, a)


def bearing_to_landmark(
    i: Any, j: Any, directions: Any, *, poses: str = "poses", landmarks: str = "landmarks", **options: Any
) -> ResidualBlock:
    """Directions of landmarks: the angle in the plane, or the logarithm on the sphere, from the measured direction.

    Parameters
    ----------
    i, j, poses, landmarks, **options
        See `landmark`.
    directions : array of shape (N, d)
        Where the landmark is seen, in the frame of the pose; of any length but zero. In the plane, an array of shape
        (N,) gives angles from the first axis.

    Returns
    -------
    ResidualBlock
        N residuals of d - 1 angles.

    Raises
    ------
    ValueError
        When a direction is zero.
    """
    z = np.asarray(directions, dtype=float)
    if z.ndim == 1:
        z = np.stack([np.cos(z), np.sin(z)], axis=-1)
    size = np.linalg.norm(z, axis=-1, keepdims=True)
    if not (size > 0.0).all():
        raise ValueError(f"`directions` must not be zero; number {int(np.argmin(size > 0.0))} is.")
    z = z / size
    data = (z, _complement(z))
    return _family(_bearing, _bearing_jacobian, (poses, landmarks), (i, j), data, options)


def _complement(z: Any) -> Any:
    """Orthonormal bases (N, d, d - 1) of what is orthogonal to unit vectors, positively oriented in the plane."""
    if z.shape[-1] == 2:
        return np.stack([-z[:, 1], z[:, 0]], axis=-1)[..., None]
    least = np.argmin(np.abs(z), axis=-1)
    a = np.cross(z, np.eye(3)[least])
    a /= np.linalg.norm(a, axis=-1, keepdims=True)
    return np.stack([a, np.cross(z, a)], axis=-1)
