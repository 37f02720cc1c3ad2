"""A ring of cameras around a building, a tenth of its observations wrong: plain and robust bundle adjustment.

Independent: the truth that the scene was made from, and the answer of a fit to the right observations alone.
"""

import numpy as np

from manifold_opt import Cauchy, bundle_adjust
from manifold_opt.datasets import bundle_scene
from manifold_opt.functions import kabsch

NOISE = 0.5  # pixels


def errors(scene, problem):
    """Distances of the points from the truth, once the cameras stand where they stood: the gauge is free."""
    centers, true_centers = problem.centers(), scene.problem.centers(scene.truth)
    scale = np.linalg.norm(true_centers - true_centers.mean(axis=0)) / np.linalg.norm(centers - centers.mean(axis=0))
    R, t = kabsch(scale * centers, true_centers)
    found, true = scale * problem.points @ R.T + t, scene.problem.parts(scene.truth)[2]
    return np.linalg.norm(found - true[problem.point_ids], axis=1)


for policy in ("uniform", "mismatch", "tracks"):
    scene = bundle_scene(20, 600, 3600, layout="ring", noise=NOISE, outliers=0.1, outlier_policy=policy, rng=0)
    problem = scene.problem
    plain = bundle_adjust(problem, tolerance=1e-6, max_iterations=50)
    robust = bundle_adjust(problem, loss=Cauchy(scale=2.0 * NOISE), tolerance=1e-6)

    # what the robust fit explains is fitted again, without a loss
    answer = problem.at(robust.point)
    good = np.linalg.norm(answer.errors(), axis=1) < 6.0 * NOISE
    kept = answer.select(good)
    final = bundle_adjust(kept)
    freedom = 2 * len(kept.seen) - (kept.manifold.dim - 7)
    noise = np.sqrt(2.0 * final.cost / freedom)
    inliers = problem.select(scene.inliers)
    best = bundle_adjust(inliers)

    fits = (problem.at(plain.point), answer, kept.at(final.point), inliers.at(best.point))
    medians = [np.median(errors(scene, fit)) for fit in fits]
    print(
        f"{policy:9s} error of a point {medians[0]:.4f} plain, {medians[1]:.4f} robust, {medians[2]:.4f} refitted, "
        f"{medians[3]:.4f} from inliers; noise {noise:.3f}; found {1.0 - good[~scene.inliers].mean():.0%} outliers"
    )
    assert medians[1] < 1.5 * medians[3] < 0.1 * medians[0]
    assert abs(noise - NOISE) < 0.02 and good[scene.inliers].mean() > 0.95
