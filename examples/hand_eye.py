"""Hand-eye calibration: the pose of a camera on a robot's hand, from motions of both, A X = X B.

Rotations and translations are fitted together, each divided by its noise. Independent: the closed form of Park and
Martin, which takes the rotation first and cannot weigh the two.
"""

import numpy as np

from manifold_opt import Euclidean, ProductManifold, Rotations, functions, levenberg_marquardt

rng = np.random.default_rng(5)
R3 = Rotations(3)
M = ProductManifold(R=R3, t=Euclidean(3))


def motions(R, t, n, noise):
    """Motions of the hand (A) and of the camera (B) with A X = X B, those of the camera noisy."""
    RA, tA = R3.random_point(rng, (n,)), rng.standard_normal((n, 3))
    RB = R.T @ RA @ R
    tB = (RA @ t + tA - t) @ R
    return RA, tA, R3.exp(RB, noise * R3.random_vector(RB, rng)), tB + noise * rng.standard_normal((n, 3))


def residual(RA, tA, RB, tB, noise):
    """Differences of the camera's motions and those of the hand seen by it, in units of the noise."""

    def equations(R, t):
        turn = R3.get_coordinates(RB, R3.log(RB, R.T @ RA @ R))
        shift = (RA @ t + tA - t) @ R - tB
        return np.concatenate([turn.reshape(-1), shift.reshape(-1)]) / noise

    return M.componentwise(equations)


def park_martin(RA, tA, RB, tB):
    """Rotation from the axes of the motions, then the translation."""
    one = np.broadcast_to(np.eye(3), RA.shape)
    alpha, beta = (R3.get_coordinates(one, R3.log(one, Q)) for Q in (RA, RB))
    R = functions.kabsch(beta, alpha, translation=False)[0]
    lhs, rhs = (RA - np.eye(3)).reshape(-1, 3), (tB @ R.T - tA).reshape(-1)
    return R, np.linalg.lstsq(lhs, rhs, rcond=None)[0]


R, t = R3.random_point(rng), np.array([0.1, 0.2, 0.3])
exact = motions(R, t, 5, 0.0)
assert all(np.allclose(x, y, atol=1e-9) for x, y in zip(park_martin(*exact), (R, t), strict=True))

noises, ours, theirs = (0.001, 0.005, 0.025), [], []
for noise in noises:
    errors = []
    for _ in range(6):
        data = motions(R, t, 10, noise)
        closed = park_martin(*data)
        result = levenberg_marquardt(M, residual(*data, noise), M.join(*closed))
        assert result.converged
        found = M.split(result.point)
        errors.append([np.hypot(R3.distance(R, Q), np.linalg.norm(s - t)) for Q, s in (found, closed)])
    mean = np.sqrt(np.mean(np.square(errors), axis=0))
    ours.append(mean[0])
    theirs.append(mean[1])
    print(f"noise {noise:5.3f}: error {mean[0]:.5f}, of the closed form {mean[1]:.5f}")
    assert mean[0] < mean[1] * 1.05 and mean[0] < 3.0 * noise
print(result.report(absolute_sigma=True))
assert 0.3 < result.statistics(absolute_sigma=True).reduced_chi_square < 2.0

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    axes = figure.subplots()
    axes.loglog(noises, ours, "o-", noises, theirs, "s--")
    axes.set(xlabel="noise", ylabel="error")
    axes.legend(["together", "Park and Martin"])
    figure.savefig("hand_eye.png")
