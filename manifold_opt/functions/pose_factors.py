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
from typing import Any

import numpy as np

from ..linalg import namespace, sinc, transpose
from ..linalg.rotation import hat, rotation_log1p, vee
from ..linalg.scalars import safe_sqrt
from ..manifolds.twists import left_jacobian_inverse_blocks, turned_back
from ..objectives.blocks import ResidualBlock

# below this versine, an angle of 0.86 pi, the logarithm of a rotation is read off its skew part
_FAR = 1.9


# ---------------------------------------------------------------------------------------------------------- pieces
def _parts(p: Any) -> tuple[Any, Any]:
    """Rotations (N, d, d) and translations (N, d) of points of SE(d)."""
    d = 2 if p.shape[-1] == 6 else 3
    R = namespace(p).reshape(p[..., : d * d], (*p.shape[:-1], d, d))
    return R, p[..., d * d :]


def _times(A: Any, x: Any) -> Any:
    return (A @ x[..., None])[..., 0]


def _back(R: Any, x: Any) -> Any:
    """R'x."""
    return (x[..., None, :] @ R)[..., 0, :]


def _relative(p: Any, q: Any) -> tuple[Any, Any]:
    """R_ij and u of T_i^-1 T_j."""
    (R, t), (S, s) = _parts(p), _parts(q)
    return transpose(R) @ S, _back(R, s - t)


def _rotation_vector(E: Any) -> Any:
    """Logarithm of rotations, as coordinates (N, 1 or 3)."""
    if type(E) is not np.ndarray or E.shape[-1] == 2:
        one = namespace(E).eye(E.shape[-1], dtype=E.dtype)
        return vee(rotation_log1p(E - one))
    # component by component: several times quicker than a batch of small matrices
    v = np.empty(E.shape[:-1], E.dtype)
    for k, (a, b) in enumerate(((2, 1), (0, 2), (1, 0))):
        np.subtract(E[..., a, b], E[..., b, a], out=v[..., k])
    v *= 0.5
    cosine = 0.5 * (E[..., 0, 0] + E[..., 1, 1] + E[..., 2, 2] - 1.0)
    sine = np.sqrt(np.einsum("...k,...k->...", v, v))
    v *= (np.arctan2(sine, cosine) / np.where(sine > 0.0, sine, 1.0))[..., None]
    far = cosine < 1.0 - _FAR
    if far.any():
        v[far] = vee(rotation_log1p(E[far] - np.eye(3)))
    return v


def _cross(x: Any) -> Any:
    """The matrix of omega -> omega x x, of shape (N, d, 1 or 3)."""
    if x.shape[-1] == 2:
        return namespace(x).stack((-x[..., 1], x[..., 0]), axis=-1)[..., None]
    return -hat(x)


def _turn(w: Any) -> Any:
    """The inverse right Jacobian of rotations at the rotation vector w, of shape (N, k, k)."""
    if w.shape[-1] == 1:
        return np.ones_like(w)[..., None]
    return left_jacobian_inverse_blocks(-w, 0.0 * w)[0]


def _index_pair(i: Any, j: Any) -> tuple[Any, Any]:
    return np.asarray(i), np.asarray(j)


def _family(residual: Any, jacobian: Any, variables: Any, indices: Any, data: Any, options: dict[str, Any]) -> ResidualBlock:
    name = options.pop("name", None) or residual.__name__.strip("_")
    return ResidualBlock(residual, variables, indices=indices, data=data, jacobian=jacobian, name=name, **options)


# ---------------------------------------------------------------------------------------------------------- poses
def _pose_error(R: Any, u: Any) -> Any:
    """Log of poses by the group's logarithm, translation first."""
    w = _rotation_vector(R)
    return namespace(w).concatenate((turned_back(w, u), w), axis=-1)


def _pose_between(p: Any, q: Any, Z: Any) -> Any:
    Q, u = _relative(p, q)
    S, z = _parts(Z)
    return _pose_error(transpose(S) @ Q, _back(S, u - z))


def _pose_between_jacobian(p: Any, q: Any, Z: Any) -> tuple[Any, Any]:
    Q, u = _relative(p, q)
    S, z = _parts(Z)
    B = _right_derivative(transpose(S) @ Q, _back(S, u - z))
    # the inverse of the relative pose acts on twists by [[Q', 0], [-Q' hat(u), Q']]
    d, k = u.shape[-1], B.shape[-1] - u.shape[-1]
    A = np.empty_like(B)
    BQ = -B[..., k:] @ transpose(Q)
    A[..., k:] = BQ
    if d == 3:
        A[..., :3] = -B[..., :3] @ transpose(Q) - BQ @ hat(u)
    else:
        A[..., :1] = -B[..., :1] + BQ @ _cross(u)
    return A, B


def _right_derivative(E: Any, e: Any) -> Any:
    """Derivative of Log(E exp(c)) by c = (rotation, translation), rows translation first."""
    w = _rotation_vector(E)
    A, C, D = left_jacobian_inverse_blocks(-w, -turned_back(w, e))
    d, k = e.shape[-1], w.shape[-1]
    B = np.zeros((*w.shape[:-1], d + k, d + k), w.dtype)
    B[..., :d, :k], B[..., :d, k:], B[..., d:, :k] = C, D, A
    return B


def _pose_prior(p: Any, Z: Any) -> Any:
    (R, t), (S, z) = _parts(p), _parts(Z)
    return _pose_error(transpose(S) @ R, _back(S, t - z))


def _pose_prior_jacobian(p: Any, Z: Any) -> Any:
    (R, t), (S, z) = _parts(p), _parts(Z)
    return _right_derivative(transpose(S) @ R, _back(S, t - z))


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
    return _family(_pose_between, _pose_between_jacobian, (variable,) * 2, _index_pair(i, j), (Z,), options)


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
    return _family(_pose_prior, _pose_prior_jacobian, (variable,), (np.asarray(i),), (Z,), options)


# ---------------------------------------------------------------------------------------------- chordal distances
def _chordal_between(p: Any, q: Any, Z: Any, root_kappa: Any, root_tau: Any) -> Any:
    Q, u = _relative(p, q)
    S, z = _parts(Z)
    w = _rotation_vector(transpose(S) @ Q)
    return namespace(w).concatenate((root_tau * (u - z), root_kappa * _chord(w)), axis=-1)


def _chord(w: Any) -> Any:
    """2 sqrt 2 sin(t/2) axis: a vector as long as the chord |E - I| of the rotation E by w."""
    t = w if w.shape[-1] == 1 else safe_sqrt(namespace(w).sum(w * w, axis=-1))[..., None]
    return math.sqrt(2.0) * sinc(0.5 * t) * w


def _chord_derivative(w: Any) -> Any:
    """Derivative of the chord by c in E exp(c): sqrt 2 (cos(t/2) I + sin(t/2) hat(axis)), of unit quaternions."""
    if w.shape[-1] == 1:
        return math.sqrt(2.0) * np.cos(0.5 * w)[..., None]
    t = np.sqrt(np.einsum("...k,...k->...", w, w))[..., None]
    B = hat(math.sqrt(0.5) * sinc(0.5 * t) * w)
    cosine = math.sqrt(2.0) * np.cos(0.5 * t)
    for k in range(3):
        B[..., k, k] = cosine[..., 0]
    return B


def _chordal_between_jacobian(p: Any, q: Any, Z: Any, root_kappa: Any, root_tau: Any) -> tuple[Any, Any]:
    Q, u = _relative(p, q)
    S, _ = _parts(Z)
    w = _rotation_vector(transpose(S) @ Q)
    d, k = u.shape[-1], w.shape[-1]
    D = root_kappa[..., None] * _chord_derivative(w)
    A, B = (np.zeros((*w.shape[:-1], d + k, k + d), w.dtype) for _ in range(2))
    B[..., d:, :k] = D
    B[..., :d, k:] = root_tau[..., None] * Q
    # E = Z'exp(-omega_i)R_ij = exp(-Z'omega_i) E, and the derivative from the left is the transpose
    A[..., d:, :k] = -D if d == 2 else -transpose(D) @ transpose(S)
    A[..., :d, :k] = -root_tau[..., None] * _cross(u)
    for a in range(d):
        A[..., a, k + a] = -root_tau[..., 0]
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
    roots = [np.sqrt(np.broadcast_to(np.asarray(x, dtype=float), len(Z)))[:, None] for x in (kappa, tau)]
    return _family(
        _chordal_between, _chordal_between_jacobian, (variable,) * 2, _index_pair(i, j), (Z, *roots), options
    )


# -------------------------------------------------------------------------------------- rotations and translations
def _relative_rotation(R: Any, S: Any, Z: Any) -> Any:
    return _rotation_vector(transpose(Z) @ (transpose(R) @ S))


def _relative_rotation_jacobian(R: Any, S: Any, Z: Any) -> tuple[Any, Any]:
    Q = transpose(R) @ S
    B = _turn(_rotation_vector(transpose(Z) @ Q))
    return (-B if B.shape[-1] == 1 else -B @ transpose(Q)), B


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
    return _family(_relative_rotation, _relative_rotation_jacobian, (variable,) * 2, _index_pair(i, j), (Z,), options)


def _relative_translation(p: Any, q: Any, z: Any) -> Any:
    (R, t), (_, s) = _parts(p), _parts(q)
    return _back(R, s - t) - z


def _relative_translation_jacobian(p: Any, q: Any, z: Any) -> tuple[Any, Any]:
    Q, u = _relative(p, q)
    k = 1 if u.shape[-1] == 2 else 3
    A, B = (np.zeros((*u.shape, k + u.shape[-1]), u.dtype) for _ in range(2))
    A[..., :k] = -_cross(u)
    A[..., k:] = -np.eye(u.shape[-1])
    B[..., k:] = Q
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
    indices = _index_pair(i, j)
    return _family(_relative_translation, _relative_translation_jacobian, (variable,) * 2, indices, (z,), options)


# ------------------------------------------------------------------------------------------------------- landmarks
def _seen(p: Any, x: Any) -> Any:
    """R'(x - t): a point in the frame of a pose."""
    R, t = _parts(p)
    return _back(R, x - t)


def _seen_jacobian(p: Any, a: Any) -> tuple[Any, Any]:
    """Derivatives of a = R'(x - t) by the pose, a x omega - v, and by the point."""
    R, _ = _parts(p)
    k = 1 if a.shape[-1] == 2 else 3
    A = np.empty((*a.shape, k + a.shape[-1]), a.dtype)
    A[..., :k] = -_cross(a)
    A[..., k:] = -np.eye(a.shape[-1])
    return A, transpose(R)


def _landmark(p: Any, x: Any, z: Any) -> Any:
    return _seen(p, x) - z


def _landmark_jacobian(p: Any, x: Any, z: Any) -> tuple[Any, Any]:
    return _seen_jacobian(p, _seen(p, x))


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
    return _family(_landmark, _landmark_jacobian, (poses, landmarks), _index_pair(i, j), (z,), options)


def _range(p: Any, x: Any, z: Any) -> Any:
    a = _seen(p, x)
    return (safe_sqrt(namespace(a).sum(a * a, axis=-1)) - z)[..., None]


def _range_jacobian(p: Any, x: Any, z: Any) -> tuple[Any, Any]:
    a = _seen(p, x)
    size = np.sqrt(np.einsum("...k,...k->...", a, a))[..., None]
    direction = (a / np.where(size > 0.0, size, 1.0))[..., None, :]
    A, B = _seen_jacobian(p, a)
    return direction @ A, direction @ B


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
    return _family(_range, _range_jacobian, (poses, landmarks), _index_pair(i, j), (z,), options)


def _bearing(p: Any, x: Any, z: Any, B: Any) -> Any:
    a = _seen(p, x)
    xp = namespace(a)
    across = _times(transpose(B), a)
    along = xp.sum(z * a, axis=-1)[..., None]
    if across.shape[-1] == 1:
        return xp.arctan2(across, along)
    size = safe_sqrt(xp.sum(across * across, axis=-1))[..., None]
    zero = size == 0.0
    safe = xp.where(zero, xp.ones_like(size), size)
    # nearly ahead: across / along and its arc tangent; exactly ahead: the derivative of that
    return xp.where(zero, 1.0 / xp.where(along == 0.0, xp.ones_like(along), along), xp.arctan2(size, along) / safe) * across


def _bearing_jacobian(p: Any, x: Any, z: Any, B: Any) -> tuple[Any, Any]:
    a = _seen(p, x)
    across = _times(transpose(B), a)
    along = np.einsum("...k,...k->...", z, a)[..., None]
    square = np.einsum("...k,...k->...", across, across)[..., None]
    total = np.where(square + along * along > 0.0, square + along * along, 1.0)
    if across.shape[-1] == 1:
        D = (along[..., None] * transpose(B) - across[..., None] * z[..., None, :]) / total[..., None]
    else:
        # r = f y with y = B'a, s = |y|, c = z'a, f = atan2(s, c) / s, so dr = f dy + y (c y'dy / s - s dc) / (s total)
        # - y f y'dy / s^2; the part of dy along y has the factor c / total, the one across it f
        size = np.sqrt(square)
        safe = np.where(size > 0.0, size, 1.0)
        f = np.where(size > 0.0, np.arctan2(size, along) / safe, 1.0 / np.where(along == 0.0, 1.0, along))
        unit = across / safe
        P = unit[..., :, None] * unit[..., None, :]
        D = f[..., None] * transpose(B) + ((along / total - f)[..., None] * P) @ transpose(B)
        D = D - (across / total)[..., None] * z[..., None, :]
    J, K = _seen_jacobian(p, a)
    return D @ J, D @ K


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
    return _family(_bearing, _bearing_jacobian, (poses, landmarks), _index_pair(i, j), data, options)


def _complement(z: Any) -> Any:
    """Orthonormal bases (N, d, d - 1) of what is orthogonal to unit vectors, positively oriented in the plane."""
    if z.shape[-1] == 2:
        return np.stack([-z[:, 1], z[:, 0]], axis=-1)[..., None]
    least = np.argmin(np.abs(z), axis=-1)
    a = np.cross(z, np.eye(3)[least])
    a /= np.linalg.norm(a, axis=-1, keepdims=True)
    return np.stack([a, np.cross(z, a)], axis=-1)
