"""What the solvers for least squares know of coordinates: their typical sizes at a point."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..manifolds import Euclidean, PowerManifold, ProductManifold


def coordinate_sizes(M: Any, p: Any) -> Any:
    """How large the point is along each coordinate of its tangent space: the size of the entries for R^n.

    A move of this size along a coordinate is a move as large as the point.

    Parameters
    ----------
    M : Manifold
    p : array

    Returns
    -------
    array of shape (dim,)
        |E_j| |p| in the embedding for the basis vectors E_j; entry by entry in R^n.
    """
    if isinstance(M, Euclidean) and M.field == "real":
        return np.abs(p).reshape(-1)
    if isinstance(M, ProductManifold):
        return np.concatenate([coordinate_sizes(M[name], x) for name, x in zip(M.names, M.split(p), strict=True)])
    if isinstance(M, PowerManifold):
        return _sizes_of_copies(M.manifold, p.reshape(-1, *M.manifold.point_shape)).reshape(-1)
    # not entry by entry: at the identity the tangent vectors of rotations vanish just where the point does not, and yet
    # its rounding moves it along them
    basis = M.embed_vector(p, M.get_basis(p))
    return np.linalg.norm(basis.reshape(len(basis), -1), axis=1) * np.linalg.norm(M.embed_point(p))


def _sizes_of_copies(M: Any, p: Any) -> Any:
    """`coordinate_sizes` of many points of M at once, (n, dim)."""
    if isinstance(M, Euclidean) and M.field == "real":
        return np.abs(p).reshape(len(p), -1)
    if isinstance(M, ProductManifold):
        return np.concatenate(
            [_sizes_of_copies(M[name], x) for name, x in zip(M.names, M.split(p), strict=True)], axis=1
        )
    if isinstance(M, PowerManifold):
        copies = p.reshape(-1, *M.manifold.point_shape)
        return _sizes_of_copies(M.manifold, copies).reshape(len(p), -1)
    lengths = np.linalg.norm(M.embed_point(p).reshape(len(p), -1), axis=1)
    columns = []
    for unit in np.eye(M.dim):
        E = M.embed_vector(p, M.get_vector(p, np.broadcast_to(unit, (len(p), M.dim))))
        columns.append(np.linalg.norm(E.reshape(len(p), -1), axis=1))
    return np.stack(columns, axis=1) * lengths[:, None]


def coordinate_blocks(M: Any) -> Any:
    """Number of the factor, or of the copy in a power, that each coordinate belongs to.

    Rotating the basis of a factor's tangent space mixes the coordinates of one block only.
    """
    blocks: list[Any] = []
    _append_blocks(M, blocks)
    return np.repeat(np.arange(len(blocks)), blocks)


def _append_blocks(M: Any, sizes: list[int]) -> None:
    if isinstance(M, ProductManifold):
        for name in M.names:
            _append_blocks(M[name], sizes)
    elif isinstance(M, PowerManifold):
        inner: list[int] = []
        _append_blocks(M.manifold, inner)
        sizes.extend(inner * int(np.prod(M.copies)))
    else:
        sizes.append(M.dim)
