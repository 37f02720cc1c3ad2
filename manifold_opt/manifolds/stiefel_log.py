"""The Riemannian logarithm of Stiefel manifolds, by Newton's method on frames of at most 2k rows.

The geodesic from p to q stays in the span of p and of the part of q normal to p, so that both become frames with 2k
rows (n where n is less), whatever n is: p the first unit vectors, q their image under the unknown geodesic.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from manifold_opt.linalg.frames import antihermitian, frame_polar, hermitian
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, namespace
from manifold_opt.manifolds import fallbacks, frames

__all__ = ["frame_log", "implicit_log", "plain_values", "reduced_log"]

# Newton's method takes the derivatives along all directions of the reduced problem; from here on they cost too much,
# and the residual itself is the step (shooting).
_MOST_DIRECTIONS = 700


def frame_log(p: np.ndarray, q: np.ndarray, beta: float, radius: float) -> np.ndarray:
    """The tangent vector at p whose geodesic reaches q, in the metric that counts ``p^H X`` by `beta`.

    Newton's method with the exact derivative of the exponential, started from the logarithm of the unitary completion
    of q nearest to the identity, damped where the residual does not fall; in double precision. Where that fails, or
    finds a geodesic longer than `radius`, the solution is followed from p to q in steps.

    Raises
    ------
    ValueError
        If the iteration does not converge: q is near or beyond the cut locus of p.

    References
    ----------
    R. Zimmermann, K. Hüper, Computing the Riemannian logarithm on the Stiefel manifold: metrics, methods, and
    performance, SIAM J. Matrix Anal. Appl. 43, 2022, sections 3 and 5. R. Zimmermann, A matrix-algebraic algorithm for
    the Riemannian logarithm on the Stiefel manifold under the canonical metric, SIAM J. Matrix Anal. Appl. 38, 2017,
    for the start.
    """
    dtype = np.result_type(p, q)
    wide = np.result_type(dtype, np.float64)
    p, q = broadcast_batch(2, p.astype(wide, copy=False), q.astype(wide, copy=False))
    n, k = p.shape[-2:]
    d = q - p
    D = adjoint(p) @ d
    if n >= 2 * k:
        Q, N = np.linalg.qr(d - p @ D)
    else:
        Q, N = None, frames.complement_coordinates(p, d, D)
    A, B = reduced_log(D, N, beta, radius)
    across = frames.complement_vector(p, B) if Q is None else Q @ B
    return (p @ A + across).astype(dtype, copy=False)


def reduced_log(D: np.ndarray, N: np.ndarray, beta: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The parts A and B of the logarithm ``p A + Q B`` of ``q = p (I + D) + Q N``, for orthonormal ``[p Q]``."""
    if D.shape[-1] == 1 and D.dtype.kind != "c":  # a sphere
        s = np.sqrt(np.sum(N * N, axis=-2, keepdims=True))
        if np.any((s == 0) & (D < -1.0)):
            raise _beyond()
        zero = s == 0
        return 0.0 * D, np.where(zero, 1.0, np.arctan2(s, 1.0 + D) / np.where(zero, 1.0, s)) * N
    return _Reduced(D, N, beta).solve(radius)


class _Reduced:
    """The equations ``[M; N] = exp(A, B)`` for the first k columns of frames with k + r rows, over a batch."""

    def __init__(self, D: np.ndarray, N: np.ndarray, beta: float) -> None:
        self.D, self.N, self.beta = D, N, beta
        self.k, self.r = D.shape[-1], N.shape[-2]
        self.complex = D.dtype.kind == "c"
        M = frames.eye_like(D) + D
        self.target = np.concatenate([M, N], axis=-2)
        self.W = frame_polar(M)
        self.K = frames.eye_like(D) + hermitian(adjoint(self.W) @ M)
        inside = self.k**2 if self.complex else self.k * (self.k - 1) // 2
        self.inside = inside
        self.dim = inside + self.r * self.k * (2 if self.complex else 1)

    # coordinates c of (A, B), and of tangent vectors at the target in the frame that completes it
    def parts(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        A = frames.skew_from_coordinates(c[..., : self.inside], self.k, self.complex)
        return A, frames.unpack(c[..., self.inside :], (self.r, self.k), self.complex)

    def coordinates(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        inside = frames.skew_coordinates(A, self.complex)
        return np.concatenate([inside, frames.pack(B, self.complex)], axis=-1)

    def at_target(self, R: np.ndarray, many: bool = False) -> np.ndarray:
        """Coordinates of a matrix R at the target; with `many`, of a list of them on the axis before the last two."""
        T, W, K = (a[..., None, :, :] if many else a for a in (self.target, self.W, self.K))
        A = adjoint(T) @ R
        k = self.k
        B = R[..., k:, :] - T[..., k:, :] @ np.linalg.solve(K, adjoint(W) @ R[..., :k, :] + A)
        return self.coordinates(antihermitian(A), B)

    def generator(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        k = self.k
        W = np.zeros((*A.shape[:-2], k + self.r, k + self.r), dtype=A.dtype)
        W[..., :k, :k] = 2.0 * self.beta * A
        W[..., k:, :k] = B
        W[..., :k, k:] = -adjoint(B)
        return W

    def residual(self, c: np.ndarray) -> tuple[np.ndarray, Any]:
        """What is missing to the target, relative to its own size, and the eigenvectors for the derivative."""
        A, B = self.parts(c)
        E, pair = _expm1(self.generator(A, B), self.complex)
        Y = E[..., : self.k]
        last = None
        if self.beta != 0.5:
            F, last = _expm1((1.0 - 2.0 * self.beta) * A, self.complex)
            Y = Y + Y @ F
            Y[..., : self.k, :] += F
        missing = np.concatenate([self.D, self.N], axis=-2) - Y
        gap = np.sqrt(np.sum(np.abs(missing) ** 2, axis=(-1, -2)))
        return self.at_target(missing), (E, pair, last, gap)

    def slopes(self, known: Any) -> np.ndarray:
        """The derivative of the frame reached, in coordinates at the target, along every coordinate of (A, B)."""
        E, pair, last, _ = known
        k = self.k
        A, B = self.parts(np.eye(self.dim))
        moved = _exp_slopes(pair, self.generator(A, B))[..., :k]
        if last is not None:
            turn = (1.0 - 2.0 * self.beta) * A
            theta, V = last
            F = (V * np.exp(1j * theta)[..., None, :]) @ adjoint(V)
            start = np.array(E[..., :k]) + np.eye(k + self.r, k)
            moved = moved @ F[..., None, :, :] + start[..., None, :, :] @ _exp_slopes(last, turn)
        if not self.complex:
            moved = moved.real
        return np.swapaxes(self.at_target(moved, many=True), -1, -2)

    def start(self) -> np.ndarray:
        """The logarithm of the completion nearest to the identity, to a few percent: three roots, then Cayley."""
        k, r = self.k, self.r
        Y = adjoint(self.target[..., k:, :])
        across = np.concatenate([-(self.W @ Y), np.eye(r) - adjoint(Y) @ np.linalg.solve(self.K, Y)], axis=-2)
        if r:
            across = across @ adjoint(frame_polar(across[..., k:, :]))
        U = np.concatenate([self.target, across], axis=-1)
        I = np.eye(k + r)
        for _ in range(3):
            U = frame_polar(I + U)
        L = 16.0 * antihermitian(np.linalg.solve(I + U, U - I))
        return self.coordinates(L[..., :k, :k], L[..., k:, :k])

    def length(self, c: np.ndarray) -> np.ndarray:
        """The length of the vectors with these coordinates, in the metric."""
        squares = np.abs(c) ** 2
        return np.sqrt(self.beta * squares[..., : self.inside].sum(-1) + squares[..., self.inside :].sum(-1))

    def solve(self, radius: float) -> tuple[np.ndarray, np.ndarray]:
        size = np.sqrt(np.sum(np.abs(self.D) ** 2, axis=(-1, -2)) + np.sum(np.abs(self.N) ** 2, axis=(-1, -2)))
        # close points: the difference itself is the better start, relative to its size
        plain = self.coordinates(antihermitian(self.D), self.N)
        c = np.where((size < 0.1)[..., None], plain, self.start())
        c, found = self.newton(c, size == 0, 15)
        # a geodesic longer than the radius may not be the shortest one: follow the shortest from p on
        doubtful = ~(found & (self.length(c) <= radius * (1.0 + 1e-9)))
        if np.any(doubtful):
            c = np.array(c)
            for i in np.argwhere(doubtful):
                c[tuple(i)] = self.member(tuple(i)).followed(c[tuple(i)], bool(found[tuple(i)]))
        return self.parts(c)

    def member(self, i: tuple[int, ...]) -> _Reduced:
        return _Reduced(self.D[i], self.N[i], self.beta)

    def newton(self, c: np.ndarray, done: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Damped Newton steps from c, and where they converged; `done` says where nothing is to do."""
        exact = self.dim <= _MOST_DIRECTIONS
        F, known = self.residual(c)
        for _ in range(most if exact else 200):
            if exact:
                try:
                    step = np.linalg.solve(self.slopes(known), F[..., None])[..., 0]
                except np.linalg.LinAlgError:
                    break
            else:
                step = F
            length, whole = np.linalg.norm(step, axis=-1), np.linalg.norm(c, axis=-1)
            # a Newton step this short leaves an error of its square; that of shooting ends in rounding
            last = length <= (1e-8 if exact else 4e-16 * math.sqrt(self.dim)) * whole
            c, F, known = self._damped(c, step, F, last | done)
            done = done | last
            if np.all(done) or not np.all(np.isfinite(length)):
                break
        # where only the tangential part of what is missing vanishes, another point was reached
        return c, done & (known[-1] <= 1e-6)

    def followed(self, other: np.ndarray, found: bool) -> np.ndarray:
        """The solution of one member, followed from p along the frames nearest to the chord.

        Inside of the injectivity radius the derivative of the exponential is invertible, so that nothing is in the way.
        A solution found otherwise, `other`, stays where it is the shorter one or the path leads nowhere.
        """
        k = self.k
        c = last = np.zeros(self.dim)
        s, before, h = 0.0, 0.0, 0.125
        while s < 1.0 and h > 1e-4:
            t = min(1.0, s + h)
            mixed = t * self.target
            mixed[:k] += (1.0 - t) * np.eye(k)
            T = frame_polar(mixed) if t < 1.0 else self.target
            stage = self if t == 1.0 else _Reduced(T[:k] - np.eye(k), T[k:], self.beta)
            guess = c + (c - last) * ((t - s) / (s - before)) if s else stage.start()
            new, good = stage.newton(guess, np.array(False), 6)
            # a jump to another branch is a step too long
            if good and np.linalg.norm(new - guess) <= 0.5:
                last, before, c, s = c, s, new, t
                h *= 1.5
            else:
                h *= 0.5
        if s < 1.0 or (found and self.length(other) <= self.length(c)):
            if not found:
                raise _beyond()
            return other
        return c

    def _damped(self, c: np.ndarray, step: np.ndarray, F: np.ndarray, sure: np.ndarray) -> Any:
        """The longest of the steps 1, 1/2, 1/4, ... that lessens the residual."""
        before = np.linalg.norm(F, axis=-1)
        # at most half a turn at once
        damping = np.minimum(1.0, math.pi / np.maximum(np.linalg.norm(step, axis=-1), 1e-300))
        for _ in range(10):
            trial = c + damping[..., None] * step
            F, known = self.residual(trial)
            worse = ~(np.linalg.norm(F, axis=-1) <= (1.0 - 0.1 * damping) * before) & ~sure
            if not np.any(worse):
                break
            damping = np.where(worse, 0.5 * damping, damping)
        return trial, F, known


def _beyond() -> ValueError:
    return ValueError(
        "log on the Stiefel manifold found no geodesic from p to q: q is near or beyond the cut locus of p; go there "
        "in several steps, or use an inverse retraction"
    )


def _expm1(W: np.ndarray, complex_field: bool) -> tuple[np.ndarray, Any]:
    """``expm(W) - I`` of skew-Hermitian matrices, accurate relative to W, and the eigendecomposition of ``-i W``."""
    theta, V = np.linalg.eigh(-1j * W)
    half = np.sin(0.5 * theta)
    E = (V * (2j * half * np.exp(0.5j * theta))[..., None, :]) @ adjoint(V)
    return (E if complex_field else E.real), (theta, V)


def _exp_slopes(pair: Any, directions: np.ndarray) -> np.ndarray:
    """The derivatives of the exponential along a list of directions (Daleckii and Krein)."""
    theta, V = pair
    a, b = theta[..., :, None], theta[..., None, :]
    slope = np.exp(0.5j * (a + b)) * np.sinc((a - b) / (2.0 * math.pi))
    V = V[..., None, :, :]
    H = adjoint(V)
    return V @ (slope[..., None, :, :] * (H @ directions @ V)) @ H


# ------------------------------------------------------------------------------------------------ generic road


def implicit_log(M: Any, p: Array, q: Array, inverse: Any = None, move: Any = None) -> Array:
    """The logarithm on arrays of other libraries, differentiable twice, from its values on NumPy arrays.

    Two chord steps of Newton's method at the solution change nothing but the derivatives: the first one makes the first
    derivative right, the second one the second. With `inverse` and `move`, another retraction and its inverse.
    """
    inverse, move = inverse or M.log, move or M.exp
    xp = namespace(p, q)
    start, end = plain_values(p), plain_values(q)
    c = M.get_coordinates(start, inverse(start, end))
    steps = np.eye(M.dim).reshape((M.dim,) + (1,) * (c.ndim - 1) + (M.dim,))

    def gap(p: Array, q: Array, c: Array, at: Array) -> Array:
        return M.get_coordinates(at, M.project_vector(at, move(p, M.get_vector(p, c)) - q))

    h = float(np.finfo(np.float64).eps) ** 0.2
    slope = sum(
        weight / h * gap(start, end, c + node * h * steps, end)
        for node, weight in zip(fallbacks._NODES, fallbacks._WEIGHTS)
    )
    chord = xp.asarray(np.linalg.inv(np.moveaxis(slope, 0, -1)))
    c, end = xp.asarray(c), xp.asarray(end)
    for _ in range(2):
        c = c - (chord @ gap(p, q, c, end)[..., None])[..., 0]
    return M.get_vector(p, c)


def plain_values(x: Array) -> np.ndarray:
    """The values as a NumPy array; tracers without values (compiled functions of JAX) raise an error of theirs."""
    while hasattr(x, "_value"):
        x = x._value
    if namespace(x).__name__ == "jax.numpy":
        from jax.lax import stop_gradient

        x = stop_gradient(x)
    elif hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x)
