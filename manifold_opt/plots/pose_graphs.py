"""Pose graphs before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

# odometry, loop closures, rejected edges
_PATH, _CLOSURE, _REJECTED = "#1f4e79", "#9db8d2", "#d62728"


def save(result: Any, path: str | Path) -> None:
    """Draw a `PoseGraphResult` into a file.

    Parameters
    ----------
    result : PoseGraphResult
    path : str or Path
        ``.png`` or another kind that matplotlib knows.
    """
    before_and_after(result).savefig(path, dpi=130)


def before_and_after(result: Any) -> Figure:
    """The poses at the start and at the answer, side by side.

    Parameters
    ----------
    result : PoseGraphResult

    Returns
    -------
    matplotlib.figure.Figure
        Steps from each pose to the next are dark, loop closures light, edges that are not believed red.
    """
    figure = Figure(figsize=(12, 6), layout="constrained")
    name = result.objective
    titles = (
        f"start: {result.init}\n{name} cost {result.initial_costs[name]:.6g}",
        f"answer: {result.status.name.lower().replace('_', ' ')}\n{name} cost {result.costs[name]:.6g}",
    )
    projection = {"projection": "3d"} if result.graph.dimension == 3 else {}
    for k, (poses, title) in enumerate(zip((result.start, result.poses), titles, strict=True)):
        axes = figure.add_subplot(1, 2, k + 1, **projection)
        draw(axes, result.graph, poses, None if k == 0 else result.weights)
        axes.set_title(title)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    if result.certificate is not None:
        figure.suptitle(str(result.certificate))
    return figure


def draw(axes: Any, graph: Any, poses: Any, weights: Any = None) -> None:
    """Draw the edges of a graph between its poses.

    Parameters
    ----------
    axes : matplotlib axes
        With a projection in space where the graph is there.
    graph : PoseGraph
    poses : array of shape (n, d (d + 1))
    weights : array of shape (m,), optional
        Edges below one half are drawn in red.
    """
    d = graph.dimension
    t = np.asarray(poses).reshape(graph.num_poses, -1)[:, d * d :]
    i, j = graph.edges.T
    steps = np.abs(i - j) == 1
    rejected = np.zeros(len(i), bool) if weights is None else np.asarray(weights) < 0.5
    kinds = (
        (rejected, _REJECTED, 0.4, "not believed"),
        (~steps & ~rejected, _CLOSURE, 0.5, "loop closures"),
        (steps & ~rejected, _PATH, 1.0, "path"),
    )
    for mask, color, width, label in kinds:
        if not mask.any():
            continue
        lines: Any = np.stack([t[i[mask]], t[j[mask]]], axis=1)
        style: dict[str, Any] = {"colors": color, "linewidths": width, "label": label}
        if d == 3:
            from mpl_toolkits.mplot3d.art3d import Line3DCollection

            axes.add_collection3d(Line3DCollection(lines, **style))
        else:
            axes.add_collection(LineCollection(lines, **style))
    low, high = t.min(axis=0), t.max(axis=0)
    margin = 0.03 * float((high - low).max()) or 1.0
    for k, name in enumerate("xyz"[:d]):
        getattr(axes, f"set_{name}lim")(low[k] - margin, high[k] + margin)
        getattr(axes, f"set_{name}label")(name)
    axes.set_aspect("equal")
