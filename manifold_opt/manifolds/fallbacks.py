"""What a manifold can do without closed forms, from its few methods alone; all of it batched, on NumPy arrays.

Frames stand on a leading axis inside this file, ``(dim, *batch, *vector_shape)``, since a point then
broadcasts against them by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import expanded, frobenius

# Fourth-order central differences: truncation h^4 balances rounding eps / h at h = eps^(1/5).
_NODES = (-2.0, -1.0, 1.0, 2.0)
_WEIGHTS = (1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12)


def frame_first(M: Any, basis: Array, batch: tuple[int, ...]) -> Array:
    """A basis ``(*batch, dim, *vector_shape)`` with its dim axis in front and the batch of `batch` axes behind it."""
    k = len(M.vector_shape)
    axis = basis.ndim - k - 1
    front = namespace(basis).moveaxis(basis, axis, 0)
    missing = len(batch) - axis
    return (
        front.reshape((front.shape[0],) + (1,) * missing + tuple(front.shape[1:])) if missing > 0 else front
    )


def frame_last(M: Any, frame: Array, batch: tuple[int, ...]) -> Array:
    """A frame ``(dim, *batch, *vector_shape)`` as a basis ``(*batch, dim, *vector_shape)``."""
    return namespace(frame).moveaxis(frame, 0, len(batch))


def _frame(M: Any, p: Array, other: Array, k: int) -> Array:
    """The default basis with its dim axis in front, ready to meet the batch of another array with k axes of its own."""
    batch = M._batch(p)
    return frame_first(M, M.get_basis(p), max(batch, tuple(other.shape[: other.ndim - k]), key=len))


def projected_frame(M: Any, p: Array) -> Array:
    """An orthonormal basis from the projections of the unit vectors of the embedding.

    Gram-Schmidt picks, each time, the first projected vector that keeps at least half of the largest squared
    length left: pivoting that rounding cannot tip over, so a batch gives the same frame as its members. A
    Cholesky pass removes the rounding.

    Raises
    ------
    ValueError
        If the projections span fewer than ``M.dim`` directions.
    """
    batch = M._batch(p)
    k = len(M.vector_shape)
    size = math.prod(M.embedding_shape)
    units = np.eye(size, dtype=p.dtype)
    if M.field == "complex":
        units = np.concatenate([units, 1j * units])
    units = units.reshape((len(units),) + (1,) * len(batch) + M.embedding_shape)
    Z = M.project_vector(p, units)
    Z = np.array(np.broadcast_to(Z, (Z.shape[0], *batch, *M.vector_shape)))
    frame = independent(Z, lambda X, Y: np.asarray(M.inner(p, X, Y)), M.dim, k, repr(M))
    return (
        frame_last(M, _orthonormalized(M, p, frame), batch)
        if len(frame)
        else np.zeros((*batch, 0, *M.vector_shape))
    )


def independent(Z: Array, inner: Callable[[Array, Array], Array], dim: int, k: int, owner: str) -> Array:
    """A frame ``(dim, *batch, ...)``, orthonormal but for rounding, from dependent vectors that span the same space.

    See `projected_frame`; `k` is the number of axes of one vector, `owner` the manifold in the message.
    """
    largest = np.max(inner(Z, Z), initial=0.0)
    frame = []
    for i in range(dim):
        lengths = inner(Z, Z)
        pick = np.argmax(lengths >= 0.5 * np.max(lengths, axis=0), axis=0)[None]
        length = np.take_along_axis(lengths, pick, axis=0)
        if not np.all(length > 1e-12 * largest):
            raise ValueError(
                f"{owner} says dim = {dim}, but project_vector reaches only {i} independent directions at this point; "
                "correct dim or project_vector"
            )
        b = np.take_along_axis(Z, expanded(pick, k), axis=0) / expanded(np.sqrt(length), k)
        Z = Z - expanded(inner(Z, b), k) * b
        frame.append(b[0])
    return np.stack(frame) if frame else np.zeros((0, *Z.shape[1:]))


def _orthonormalized(M: Any, p: Array, frame: Array) -> Array:
    """A nearly orthonormal frame made so to rounding by the Cholesky factor of its Gram matrix."""
    gram = np.stack([np.asarray(M.inner(p, frame, b)) for b in frame])
    L = np.linalg.cholesky(np.moveaxis(gram, (0, 1), (-2, -1)))
    inverse = np.moveaxis(np.linalg.inv(L), (-2, -1), (0, 1))
    k = len(M.vector_shape)
    return np.stack([np.sum(expanded(row, k) * frame, axis=0) for row in inverse])


def coordinates(M: Any, p: Array, X: Array, basis: Any) -> Array:
    """Coordinates by inner products; in a basis given by the user, by solving its Gram system."""
    xp = namespace(p, X)
    frame = frame_first(M, M.get_basis(p, basis), M._batch(p))
    c = _inner_products(xp, M, p, frame, X)
    if basis is None:
        return c
    gram = np.stack([np.asarray(M.inner(p, frame, b)) for b in frame])
    gram = np.moveaxis(gram, (0, 1), (-2, -1))
    return xp.linalg.solve(gram, c[..., None])[..., 0]


def _inner_products(xp: Any, M: Any, p: Array, frame: Array, X: Array) -> Array:
    """The inner products of X with a frame, ``(*batch, dim)``, in the precision of X."""
    products = [M.inner(p, b, X) for b in frame]
    if xp is np:
        return np.stack(products, axis=-1).astype(np.asarray(X).real.dtype, copy=False)
    return xp.stack(products, axis=-1)


def combination(M: Any, basis: Array, c: Array) -> Array:
    """The sum of basis vectors ``(*batch, dim, *vector_shape)`` times coordinates ``(*batch, dim)``."""
    xp = namespace(c, basis)
    k = len(M.vector_shape)
    return xp.sum(basis * c.reshape(tuple(c.shape) + (1,) * k), axis=-k - 1)


def inverse_retraction(M: Any, retraction: Callable[..., Array], p: Array, q: Array) -> Array:
    """The vector whose retraction is q, by Newton's method on the tangential part of ``q - R_p(X)``.

    Raises
    ------
    ValueError
        If q is out of reach of the retraction or too far for the iteration.
    """
    batch = np.broadcast_shapes(M._batch(p), M._batch(q))
    p, q = np.broadcast_to(p, batch + M.point_shape), np.broadcast_to(q, batch + M.point_shape)
    target = M.embed_point(q)

    def gap(c: Array) -> Array:
        reached = M.embed_point(retraction(p, M.get_vector(p, c)))
        return M.get_coordinates(p, M.project_vector(p, target - reached))

    c = gap(np.zeros((*batch, M.dim), dtype=p.real.dtype))
    eps = float(np.finfo(c.dtype).eps)
    steps = (eps ** (1 / 3) * np.eye(M.dim, dtype=c.dtype)).reshape((M.dim,) + (1,) * len(batch) + (M.dim,))
    last = np.inf
    for _ in range(50):
        value = gap(c)
        slope = np.moveaxis((gap(c + steps) - gap(c - steps)) / (2 * eps ** (1 / 3)), 0, -1)
        step = np.linalg.solve(slope, -value[..., None])[..., 0]
        size = np.linalg.norm(step, axis=-1)
        # a full Newton step where it is short; at most unit length keeps far targets from overshooting
        # NumPy 1 would make the quotient double precision
        c = c + (step / np.maximum(size, 1.0)[..., None]).astype(c.dtype)
        worst = float(np.max(size / (1.0 + np.linalg.norm(c, axis=-1)), initial=0.0))
        if not np.isfinite(worst):
            break
        if worst <= 4 * eps or (worst <= math.sqrt(eps) and worst >= 0.5 * last):
            X = M.get_vector(p, c)
            # the gap is tangential only: an antipode, say, has none, and yet is not reached
            off = np.max(np.abs(M.embed_point(retraction(p, X)) - target), initial=0.0)
            if off <= math.sqrt(eps) * (1.0 + np.max(np.abs(target), initial=0.0)):
                return X
            break
        last = worst
    raise ValueError(
        f"no tangent vector found whose retraction on {M!r} is q: q is too far from p; go there in several steps"
    )


def gradient(M: Any, p: Array, G: Array) -> Array:
    """The Riemannian gradient for any metric: in an orthonormal frame its coordinates are ``Re <G, b_i>``."""
    frame = _frame(M, p, G, len(M.embedding_shape))
    c = frobenius(namespace(G), G, M.embed_vector(p, frame), len(M.embedding_shape))
    return _combined(M, frame, c)


def gradient_from_storage(M: Any, p: Array, g: Array) -> Array:
    """As `gradient`, for the derivative with respect to the stored array."""
    frame = _frame(M, p, g, len(M.point_shape))
    c = frobenius(namespace(g), g, M.storage_vector(p, frame), len(M.point_shape))
    return _combined(M, frame, c)


def _combined(M: Any, frame: Array, c: Array) -> Array:
    xp = namespace(frame, c)
    return xp.sum(c.reshape(tuple(c.shape) + (1,) * len(M.vector_shape)) * frame, axis=0)


def euclidean_representer(M: Any, p: Array, X: Array) -> Array:
    """``G = sum_j a_j E_j`` with ``sum_j <E_i, E_j> a_j = inner(p, X, b_i)`` for the embedded frame E."""
    frame = _frame(M, p, X, len(M.vector_shape))
    return _represented(M, p, X, frame, M.embed_vector(p, frame), len(M.embedding_shape))


def storage_representer(M: Any, p: Array, X: Array) -> Array:
    """As `euclidean_representer`, in the space of the stored arrays."""
    frame = _frame(M, p, X, len(M.vector_shape))
    return _represented(M, p, X, frame, M.storage_vector(p, frame), len(M.point_shape))


def _represented(M: Any, p: Array, X: Array, frame: Array, E: Array, k: int) -> Array:
    xp = namespace(p, X)
    c = _inner_products(xp, M, p, frame, X)
    gram = xp.stack([frobenius(xp, E, e, k) for e in E], axis=-1)
    gram = xp.moveaxis(gram, 0, -2)
    a = xp.linalg.solve(gram, c[..., None])[..., 0]
    a = xp.moveaxis(a, -1, 0)
    return xp.sum(a.reshape(tuple(a.shape) + (1,) * k) * E, axis=0)


def _step(M: Any, p: Array, X: Array) -> Array:
    """Step lengths for differences along X: ``eps^(1/5)`` in arc length; 1 along a zero vector."""
    length = np.asarray(M.norm(p, X))
    dtype = np.asarray(p).real.dtype
    h = float(np.finfo(dtype).eps) ** 0.2 / np.where(length > 0, length, 1.0)
    return h.astype(dtype)


def weingarten(M: Any, p: Array, X: Array, V: Array) -> Array:
    """``P_p (D_X P) V``, the derivative of the projection along X by fourth-order central differences."""
    h = _step(M, p, X)
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS):
        q = M.retract(p, X, node * h)
        total = total + weight * M.embed_vector(q, M.project_vector(q, V))
    return M.project_vector(p, total / expanded(h, len(M.embedding_shape)))


def hessian(M: Any, p: Array, G: Array, H: Array, X: Array) -> Array:
    """The Riemannian Hessian for any metric, with Koszul's formula by fourth-order central differences.

    With the fields ``B_i(q) = P_q E_i`` that extend an orthonormal frame, ``Hess f(X, b_i) = D_X (B_i f) -
    (nabla_X B_i) f``, and nabla follows from derivatives of the Gram matrix and Lie brackets.

    References
    ----------
    J. M. Lee, Introduction to Riemannian Manifolds, 2nd ed., Springer, 2018, proposition 4.26 and corollary
    5.11.
    """
    k = len(M.embedding_shape)
    frame = _frame(M, p, X, len(M.vector_shape))
    E = M.embed_vector(p, frame)
    h = float(np.finfo(np.asarray(p).real.dtype).eps) ** 0.2
    gram_slope = 0.0  # [i, j, k] the derivative of inner(B_i, B_j) along b_k
    field_slope = 0.0  # [i, k] the derivative of the embedded B_i along b_k
    for node, weight in zip(_NODES, _WEIGHTS):
        q = M.retract(p, frame, node * h)
        B = M.project_vector(q, E[:, None])
        gram_slope = gram_slope + weight / h * np.asarray(M.inner(q, B[:, None], B[None]))
        field_slope = field_slope + weight / h * M.embed_vector(q, B)
    bracket = M.project_vector(p, np.swapaxes(field_slope, 0, 1) - field_slope)  # [k, i] = [b_k, b_i]
    bracket = np.stack([np.asarray(M.inner(p, bracket, b)) for b in frame], axis=2)  # [k, i, j]
    s, c = gram_slope, bracket
    # 2 <nabla_k B_i, b_j> = D_k <i,j> + D_i <j,k> - D_j <k,i> + <[k,i],j> - <[k,j],i> - <[i,j],k>
    connection = 0.5 * (
        np.einsum("ijk...->kij...", s)
        + np.einsum("jki...->kij...", s)
        - s
        + c
        - np.einsum("kji...->kij...", c)
        - np.einsum("ijk...->kij...", c)
    )
    x = np.stack([np.asarray(M.inner(p, b, X)) for b in frame])
    slope = frobenius(np, G, E, k)
    along = frobenius(np, G, field_slope, k) - np.einsum("kij...,j...->ik...", connection, slope)
    Y = _combined(M, frame, frobenius(np, H, E, k) + np.einsum("ik...,k...->i...", along, x))
    return Y.astype(np.result_type(p, X), copy=False)
