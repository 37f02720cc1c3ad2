"""Which edges of a pose graph are to be believed: graduated non-convexity with truncated squares.

Each stage solves the weighted graph, anew from the chordal relaxation with these weights and from the poses of the
stage before, whichever ends lower, and takes new weights from a loss that is a little less convex. Edges that are
known to be right, such as odometry, keep their weight.

References
----------
.. [1] H. Yang, P. Antonante, V. Tzoumas, L. Carlone, Graduated non-convexity for robust spatial perception, IEEE RA-L 5
   (2020), 1127-1134, algorithm 1; the minimizations of its stages are global, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..objectives.graduated import GraduatedTruncated
from .graph import PoseGraph
from .initialization import chordal

# weights of edges that are not believed, so that what hangs on them alone stays where it is
_NONE = 1e-9
_STAGES = 200


def believed_edges(
    graph: PoseGraph,
    minimize: Callable[[Any, Any], Any],
    squares: Callable[[Any], Any],
    start: Any,
    trusted: Any,
    threshold: float,
    *,
    factor: float = 1.4,
) -> tuple[Any, Any]:
    """Weights of all edges, 0 or 1 but for a few in doubt, and poses that minimize the squares weighted so.

    Parameters
    ----------
    graph : PoseGraph
    minimize : callable
        ``minimize(poses, weights)``: poses and cost of a local minimum of the weighted squares.
    squares : callable
        ``squares(poses)``: squared norms of the residuals of all edges.
    start : array of shape (n, d (d + 1))
    trusted : array of bool, shape (m,)
    threshold : float
        Norm of a residual from which on an edge is an outlier.
    factor : float
        By which the loss becomes less convex from one stage to the next.

    Returns
    -------
    weights : array of shape (m,)
    poses : array of shape (n, d (d + 1))
    """
    weights = np.ones(graph.num_edges)
    poses, _ = minimize(start, weights)
    if trusted.all():
        return weights, poses
    s = squares(poses)[~trusted] / threshold**2
    mu = GraduatedTruncated.start(float(s.max()))
    for _ in range(_STAGES):
        if mu is None:
            break
        before = weights[~trusted]
        now = np.maximum(GraduatedTruncated(mu=mu).rho(s)[1], _NONE)
        weights = weights.copy()
        weights[~trusted] = now
        poses = _best(graph, minimize, poses, weights)
        s = squares(poses)[~trusted] / threshold**2
        settled = bool(((now < 1e-3) | (now > 1.0 - 1e-3)).all()) and np.abs(now - before).max() < 1e-3
        mu = None if settled else GraduatedTruncated.advanced(mu, factor)
    weights = np.ones(graph.num_edges)
    weights[~trusted] = (s <= 1.0).astype(float)
    return weights, poses


def _best(graph: PoseGraph, minimize: Any, poses: Any, weights: Any) -> Any:
    """The lower of two local minima."""
    candidates = [minimize(poses, weights), minimize(chordal(graph, weights), weights)]
    return min(candidates, key=lambda candidate: candidate[1])[0]
