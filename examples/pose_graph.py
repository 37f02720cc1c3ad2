"""A drive through a city with wrong loop closures: where was the robot?

Least squares over all edges is pulled apart by the outliers; graduated non-convexity tells them from the others, and
what is left is solved to a certified global optimum. Independent: the true poses, and who is an outlier.
"""

import numpy as np

from manifold_opt import solve_pose_graph
from manifold_opt.datasets import city_graph

noise = {"rotation_noise": 0.02, "translation_noise": 0.05, "closures": 0.8, "rng": 3}


def error(result):
    """Root mean square distance from the true places, after moving the first pose to its own."""
    graph = result.graph
    SE = graph.pose_manifold
    poses = SE.compose(SE.compose(graph.truth[0], SE.inverse(result.poses[0])), result.poses)
    return float(np.sqrt(np.mean(np.sum((SE.split(poses)[1] - SE.split(graph.truth)[1]) ** 2, axis=1))))


shares, plain, robust = (0.0, 0.2, 0.4), [], []
for share in shares:
    graph = city_graph(300, outliers=share, policy="grouped", **noise)
    squares = solve_pose_graph(graph)
    result = solve_pose_graph(graph, graduated=True, certify=True)
    plain.append(error(squares))
    robust.append(error(result))
    missed = int(((result.weights > 0.5) & ~graph.inliers).sum())
    print(f"{share:4.0%} outliers: {missed} believed, error {robust[-1]:.2f}, of plain squares {plain[-1]:.2f}")
    assert missed == 0
    assert result.certificate.optimal
print(result.report())
assert max(robust) < 1.5
assert plain[-1] > 5.0 * robust[-1]

try:
    from manifold_opt.plots.pose_graphs import save
except ImportError:
    pass
else:
    save(result, "pose_graph.png")
