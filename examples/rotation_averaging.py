"""The orientations of twelve cameras from relative rotations between pairs of them, a third of which are nonsense.

Only relative orientations are known, so all cameras may turn together: the statistics find the three directions by
themselves, and holding the first camera takes them away. Independent: the eigenvectors of the matrix of all relative
rotations, on exact data and on noisy ones without outliers.
"""

import numpy as np

from manifold_opt import (
    BlockObjective,
    Huber,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    Rotations,
    fix,
    graduated_non_convexity,
    levenberg_marquardt,
)

rng = np.random.default_rng(8)
R3, N = Rotations(3), 12
M = ProductManifold(R=PowerManifold(R3, N))
i, j = np.triu_indices(N, 1)
truth = R3.random_point(rng, (N,))


def measured(noise, share):
    """Rotations from camera i to camera j, and which of them are nonsense."""
    exact = truth[j] @ truth[i].transpose(0, 2, 1)
    seen = R3.exp(exact, noise * R3.random_vector(exact, rng))
    bad = rng.permutation(len(i))[: round(share * len(i))]
    seen[bad] = R3.random_point(rng, (len(bad),))
    return seen, bad


def objective(seen, loss=None):
    """Chordal distances of relative rotations."""

    def chordal(Ri, Rj):  # unlike Rj - seen @ Ri it does not change when all cameras turn
        return (Rj @ np.swapaxes(Ri, 1, 2) - seen).reshape(-1, 9)

    return BlockObjective([ResidualBlock(chordal, ("R", "R"), indices=(i, j), loss=loss)])


def spectral(seen):
    """Blocks of the three leading eigenvectors of the matrix whose block (j, i) is the rotation from i to j."""
    A = np.zeros((N, 3, N, 3))
    A[j, :, i] = seen
    A[i, :, j] = seen.transpose(0, 2, 1)
    V = np.linalg.eigh(A.reshape(3 * N, 3 * N))[1][:, -3:].reshape(N, 3, 3)
    return R3.project_point(V if np.linalg.det(V[0]) > 0.0 else -V)


def error(p):
    """Largest angle to the truth when both are seen from the first camera."""
    R = np.reshape(p, (N, 3, 3))
    return R3.distance(truth @ truth[0].T, R @ R[0].T).max()


assert error(spectral(measured(0.0, 0.0)[0])) < 1e-12

seen, _ = measured(0.05, 0.0)
start = spectral(seen).reshape(-1)
result = levenberg_marquardt(M, objective(seen), start)
fit = result.statistics()
print(fit.report())
assert len(fit.null_directions) == 3 and all(len(n.variables) == N for n in fit.null_directions)
assert error(result.point) < 0.1 and R3.distance(*np.reshape([result.point, start], (2, N, 3, 3))).max() < 0.1

small = fix(M, objective(seen), start, {"R": [0]})
held = levenberg_marquardt(small.manifold, small.objective, small.p0)
assert np.isclose(held.cost, result.cost, rtol=1e-9) and held.statistics().null_directions == []

shares, errors = (0.0, 0.1, 0.2, 0.33), []
for share in shares:
    seen, bad = measured(0.05, share)
    start = spectral(seen).reshape(-1)
    robust = graduated_non_convexity(M, objective(seen), start, scale=0.4)
    plain = levenberg_marquardt(M, objective(seen), start)
    huber = levenberg_marquardt(M, objective(seen, Huber(scale=0.1)), start)
    errors.append([error(r.point) for r in (robust, huber, plain)])
    print(f"{100 * share:3.0f} % outliers: graduated, Huber, plain: {np.round(errors[-1], 3)}")
    assert errors[-1][0] < 0.12
    assert (robust.state.weights[bad] > 0.5).sum() <= 1  # random rotations may happen to fit
assert errors[-1][2] > 2.0 * errors[-1][0]

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    axes = figure.subplots()
    axes.plot(shares, errors, "o-", label=["graduated", "Huber", "plain"])
    axes.set(xlabel="share of outliers", ylabel="largest error in radians")
    axes.legend()
    figure.savefig("rotation_averaging.png")
