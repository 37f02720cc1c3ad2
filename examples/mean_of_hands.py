"""Mean shapes of hands that grab and of hands that are spread, whatever their place, size and direction.

Independent: the mean does not change when every hand is moved, scaled and turned at random, the directions to the data
balance, and of hands that took no part more are nearer to the mean of their own pose than in coordinates as stored.
"""

import numpy as np

from manifold_opt import KendallShape, Rotations, datasets, functions, gradient_descent

hands = datasets.hands()
M = KendallShape(22, 3)
rng = np.random.default_rng(0)


def mean(landmarks):
    """Fréchet mean of the shapes of sets of landmarks."""
    f = functions.FrechetMean(M, M.project_point(landmarks))
    result = gradient_descent(M, f.fused, f.points[0], tolerance=1e-8)
    assert result.converged
    pull = M.log(result.point, f.points).mean(axis=0)
    assert np.linalg.norm(pull) < 1e-7
    return result.point


def moved(landmarks):
    """The same hands at other places, in other sizes and directions."""
    turns = Rotations(3).random_point(rng, (len(landmarks),))
    return rng.uniform(0.5, 2.0, (len(landmarks), 1, 1)) * landmarks @ turns + rng.standard_normal(
        (len(landmarks), 1, 3)
    )


known = np.arange(len(hands.labels)) % 2 == 0
means = [mean(hands.landmarks[known & (hands.labels == pose)]) for pose in (0, 1)]
again = [mean(moved(hands.landmarks[known & (hands.labels == pose)])) for pose in (0, 1)]
assert max(M.distance(*pair) for pair in zip(means, again)) < 1e-6
print(f"the two mean shapes are {np.degrees(M.distance(*means)):.1f} degrees apart")

others, labels = hands.landmarks[~known], hands.labels[~known]
by_shape = np.mean(np.argmin([M.distance(p, M.project_point(moved(others))) for p in means], axis=0) == labels)
averages = [hands.landmarks[known & (hands.labels == pose)].mean(axis=0) for pose in (0, 1)]
as_stored = np.mean(np.argmin([np.sum((others - a) ** 2, axis=(1, 2)) for a in averages], axis=0) == labels)
print(
    f"nearer to the mean of their pose: {by_shape:.0%} of the other hands by shape, {as_stored:.0%} as they are stored"
)
assert by_shape > 0.7 and by_shape > as_stored
