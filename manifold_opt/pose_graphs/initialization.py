r"""Where to start: poses of a graph from its edges alone.

* `odometry`: measurements composed along the path of consecutive poses; what that does not reach along other edges.
* `spanning_tree`: composed along the tree of the most certain edges.
* `chordal`: the rotations that minimize sum kappa |R_j - R_i Z|^2 over all matrices, each replaced by the nearest
  rotation, then the translations that minimize sum tau |t_j - t_i - R_i z|^2: two sparse linear systems [1]_.
* `spectral`: rotations from the eigenvectors of the smallest eigenvalues of the same quadratic form [2]_.

All of them leave anchors (`PoseGraph.anchors`) where the graph has them, or at the origin.

References
----------
.. [1] D. Martinec, T. Pajdla, Robust rotation and translation estimation in multiview reconstruction, CVPR 2007; L.
   Carlone, R. Tron, K. Daniilidis, F. Dellaert, Initialization techniques for 3D SLAM, ICRA 2015.
.. [2] A. Singer, Angular synchronization by eigenvectors and semidefinite programming, Appl. Comput. Harmon. Anal. 30
   (2011); K. J. Doherty, D. M. Rosen, J. J. Leonard, Performance guarantees for spectral initialization in rotation
   averaging and pose-graph SLAM, ICRA 2022.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg.block_matrix import BlockMatrix, BlockPart
from ..linalg.small import nearest_rotation
from ..linalg.sparse_solvers import SparseCholesky
from .graph import PoseGraph


def initial_poses(graph: PoseGraph, method: str = "chordal", weights: Any = None) -> Any:
    """Poses to start from.

    Parameters
    ----------
    graph : PoseGraph
    method : {"chordal", "spectral", "odometry", "spanning-tree", "file"}
        ``"file"`` takes ``graph.poses``.
    weights : array of shape (m,), optional
        Factors of the weights of the edges, for ``"chordal"``, ``"spectral"`` and ``"spanning-tree"``.

    Returns
    -------
    array of shape (n, d (d + 1))

    Raises
    ------
    ValueError
        On an unknown method, a graph without poses for ``"file"``, one in several pieces for ``"spectral"``.
    InformationError
        When an edge has a weight that is not positive.
    """
    if method == "file":
        if graph.poses is None:
            raise ValueError("the graph has no estimate of its poses (no VERTEX lines): start from 'chordal'.")
        return graph.poses
    if method not in METHODS:
        raise ValueError(f"`init` must be one of {', '.join(map(repr, (*METHODS, 'file')))}; got {method!r}.")
    return METHODS[method](graph, weights)


def odometry(graph: PoseGraph, weights: Any = None) -> Any:
    """Poses along the path of consecutive ones, and along other edges what that path does not reach."""
    i, j = graph.edges.T
    return _along_tree(graph, np.where(np.abs(i - j) == 1, 1.0, 2.0))


def spanning_tree(graph: PoseGraph, weights: Any = None) -> Any:
    """Poses along the spanning tree of the edges with the largest weights kappa of rotations."""
    kappa = graph.isotropic_weights()[0]
    return _along_tree(graph, 1.0 / (kappa if weights is None else kappa * np.maximum(weights, 1e-12)))


def _along_tree(graph: PoseGraph, costs: Any) -> Any:
    """Measurements composed along the spanning tree of least cost, from the anchors on."""
    SE, n = graph.pose_manifold, graph.num_poses
    parent, edge, forward = _tree(graph, costs)
    relative = np.tile(SE.identity(), (n, 1))
    reached = edge >= 0
    Z = graph.measurements[edge[reached]]
    relative[reached] = np.where(forward[reached][:, None], Z, SE.inverse(Z))
    relative[graph.anchors] = _anchored(graph)
    # every pose knows its pose relative to its parent; each round replaces parents by grandparents
    parent = np.where(reached, parent, np.arange(n))
    while True:
        grand = parent[parent]
        if (grand == parent).all():
            break
        moved = grand != parent
        relative[moved] = SE.compose(relative[parent[moved]], relative[moved])
        parent = grand
    # parents are roots now, which have their place already
    return np.where(reached[:, None], SE.compose(relative[parent], relative), relative)


def _tree(graph: PoseGraph, costs: Any) -> tuple[Any, Any, Any]:
    """Parent of each pose, the edge to it (-1 for anchors), and whether that edge starts there."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    n = graph.num_poses
    i, j = graph.edges.T
    # of several edges between two poses the cheapest
    low, high = np.minimum(i, j), np.maximum(i, j)
    order = np.lexsort((costs, high, low))
    key = low * (n + 1) + high
    order = order[np.unique(key[order], return_index=True)[1]]
    # one more node, the root, next to all anchors by free edges
    anchors = graph.anchors
    rows, columns = np.concatenate([low[order], anchors]), np.concatenate([high[order], np.full(len(anchors), n)])
    cheap = 0.5 * costs[order].min()
    values = np.concatenate([costs[order], np.full(len(anchors), cheap)])
    places = rows.astype(np.int32), columns.astype(np.int32)  # SciPy 1.11 takes no others
    tree = minimum_spanning_tree(csr_array((values, places), shape=(n + 1, n + 1)))
    _, parent = breadth_first_order(tree, n, directed=False)
    numbers = coo_array((order + 1, (low[order], high[order])), shape=(n + 1, n + 1)).tocsr()
    nodes = np.flatnonzero(parent[:n] != n)
    first, second = np.minimum(nodes, parent[nodes]), np.maximum(nodes, parent[nodes])
    edge = np.full(n, -1)
    edge[nodes] = np.asarray(numbers[first, second]).reshape(-1) - 1
    forward = np.zeros(n, bool)
    forward[nodes] = i[edge[nodes]] == parent[nodes]
    return parent[:n], edge, forward


def _anchored(graph: PoseGraph) -> Any:
    """Poses of the anchors."""
    anchors = graph.anchors
    return np.tile(graph.pose_manifold.identity(), (len(anchors), 1)) if graph.poses is None else graph.poses[anchors]


def chordal(graph: PoseGraph, weights: Any = None) -> Any:
    """Poses by the chordal relaxation."""
    SE, d = graph.pose_manifold, graph.dimension
    kappa, _ = graph.isotropic_weights()
    root = np.sqrt(kappa if weights is None else kappa * weights)[:, None, None]
    J = _incidence(graph, -root * graph.rotations.swapaxes(1, 2), root * np.eye(d))
    known = np.zeros((graph.num_poses, d, d))
    known[graph.anchors] = SE.split(_anchored(graph))[0]
    i, j = graph.edges.T
    constant = root * (known[j] - known[i] @ graph.rotations)
    # row a of all rotation matrices at a time: the same matrix for each
    rows = _solved(J, constant.transpose(1, 0, 2).reshape(d, -1))
    R = known.copy()
    free = np.setdiff1d(np.arange(graph.num_poses), graph.anchors)
    R[free] = nearest_rotation(rows.reshape(d, -1, d).transpose(1, 0, 2))
    return SE.join(R, translations(graph, R, weights))


def translations(graph: PoseGraph, R: Any, weights: Any = None) -> Any:
    """Best translations t for given rotations: minimizers of sum tau |t_j - t_i - R_i z|^2.

    Parameters
    ----------
    graph : PoseGraph
    R : array of shape (n, d, d)
    weights : array of shape (m,), optional
        Factors of tau.

    Returns
    -------
    array of shape (n, d)
    """
    d = graph.dimension
    _, tau = graph.isotropic_weights()
    root = np.sqrt(tau if weights is None else tau * weights)
    J = _incidence(graph, -root[:, None, None], root[:, None, None])
    t = np.zeros((graph.num_poses, d))
    t[graph.anchors] = graph.pose_manifold.split(_anchored(graph))[1]
    i, j = graph.edges.T
    constant = root[:, None] * (t[j] - t[i] - np.einsum("nab,nb->na", R[i], graph.translations))
    free = np.setdiff1d(np.arange(graph.num_poses), graph.anchors)
    t[free] = _solved(J, constant.T).T
    return t


def _incidence(graph: PoseGraph, at_i: Any, at_j: Any) -> BlockMatrix:
    """The matrix with blocks ``at_i`` and ``at_j`` (m, k, k) in the columns of both poses of each edge, free ones."""
    m, k = graph.num_edges, at_i.shape[1]
    number = np.zeros(graph.num_poses, dtype=np.intp)
    number[graph.anchors] = -1
    free = number >= 0
    number[free] = k * np.arange(free.sum())
    parts = []
    for blocks, ends in zip((at_i, at_j), graph.edges.T, strict=True):
        columns = number[ends]
        parts.append(BlockPart(0, columns, np.where((columns >= 0)[:, None, None], blocks, 0.0)))
    return BlockMatrix((m * k, k * int(free.sum())), parts)


def _solved(J: BlockMatrix, constants: Any) -> Any:
    """Minimizers x of |J x + c|^2 for several c, one a row."""
    solver = SparseCholesky().bind()
    solver.factor(J)
    return np.stack([solver.solve(np.ascontiguousarray(c), 0.0)[0] for c in constants])


def spectral(graph: PoseGraph, weights: Any = None, *, iterations: int = 100) -> Any:
    """Poses with rotations from the eigenvectors of the d smallest eigenvalues of sum kappa |R_j - R_i Z|^2.

    Raises
    ------
    ValueError
        When the graph has several connected components, or several fixed poses.
    """
    from .quadratic import PoseMatrix, rotation_form

    if graph.components.max() > 0 or len(graph.anchors) > 1:
        raise ValueError(
            "the spectral initialization takes graphs in one piece with one fixed pose; take 'chordal' for this one."
        )
    SE, d, n = graph.pose_manifold, graph.dimension, graph.num_poses
    kappa = graph.isotropic_weights()[0]
    L = rotation_form(graph, kappa if weights is None else kappa * weights)
    U = _smallest_eigenvectors(PoseMatrix(L, n, d), d, iterations).reshape(n, d, d).swapaxes(1, 2)
    if np.linalg.det(U).sum() < 0.0:  # a reflection is as good to the eigenvectors
        U[:, -1] = -U[:, -1]
    R = nearest_rotation(U)
    a = int(graph.anchors[0])
    R = SE.split(_anchored(graph))[0][0] @ R[a].T @ R
    return SE.join(R, translations(graph, R, weights))


def _smallest_eigenvectors(A: Any, k: int, iterations: int) -> Any:
    """Eigenvectors of the k smallest eigenvalues of a positive semidefinite matrix, by inverse subspace iteration."""
    L = A.matrix
    shift = 1e-7 * float(L.diagonal().mean())
    solve = A.factor(shift)
    rng = np.random.default_rng(0)  # which start does not matter
    X = np.linalg.qr(rng.standard_normal((L.shape[0], k + 2)))[0]
    before = None
    for _ in range(iterations):
        X = np.linalg.qr(solve(X))[0]
        w, V = np.linalg.eigh(X.T @ (L @ X))
        X = X @ V
        now = float(w[:k].sum())
        if before is not None and abs(now - before) <= 1e-9 * abs(before) + 1e-9 * shift:
            break
        before = now
    return X[:, :k]


METHODS = {"chordal": chordal, "spectral": spectral, "odometry": odometry, "spanning-tree": spanning_tree}
