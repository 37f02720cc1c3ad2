"""A diffusion tensor from attenuated signals: S = S0 exp(-b g'Dg) with D positive definite.

Independent: the linear fit of the logarithms, which weighs strong and weak signals alike and, under much noise, finds
tensors that no diffusion has; a fit on the manifold of positive definite matrices never does.
"""

import numpy as np

from manifold_opt import Euclidean, ProductManifold, SymmetricPositiveDefinite, curve_fit

rng = np.random.default_rng(7)
SPD = SymmetricPositiveDefinite(3)
M = ProductManifold(D=SPD, S0=Euclidean(1))
Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
D, S0 = (Q * [1.7, 0.3, 0.2]) @ Q.T, 100.0  # in thousandths of a square millimetre per second
g = rng.standard_normal((30, 3))
g /= np.linalg.norm(g, axis=1, keepdims=True)
b = np.repeat([0.0, 1.0, 2.0], [3, 13, 14])


def signal(gradients, D, S0):
    """Signals along the gradients."""
    return S0 * np.exp(-b * ((gradients @ D) * gradients).sum(axis=1))


def logarithms(y):
    """D and S0 by linear least squares of log S."""
    i, j = np.triu_indices(3)
    design = np.hstack([np.ones((30, 1)), -b[:, None] * g[:, i] * g[:, j] * np.where(i == j, 1.0, 2.0)])
    v = np.linalg.lstsq(design, np.log(np.maximum(y, 1e-3)), rcond=None)[0]
    E = np.zeros((3, 3))
    E[i, j] = E[j, i] = v[1:]
    return E, np.exp(v[0])


start = M.join(np.eye(3), np.array([100.0]))
noiseless = curve_fit(M, signal, g, signal(g, D, S0), start)
assert np.allclose(noiseless.point, M.join(D, np.array([S0])), rtol=1e-6)
assert np.allclose(logarithms(signal(g, D, S0))[0], D)

noises, errors, impossible = (0.5, 2.0, 8.0), [], []
for noise in noises:
    found, scores, bad = [], [], 0
    for _ in range(20):
        y = signal(g, D, S0) + noise * rng.standard_normal(30)
        result = curve_fit(M, signal, g, y, start)
        E = logarithms(y)[0]
        bad += np.linalg.eigvalsh(E)[0] <= 0.0
        fit = result.statistics()
        trace, variance = fit.propagate(lambda p: np.trace(M.split(p)[0]))
        scores.append((float(trace) - np.trace(D)) / np.sqrt(variance[0, 0]))
        found.append([np.linalg.norm(M.split(result.point)[0] - D), np.linalg.norm(E - D)])
        assert np.linalg.eigvalsh(M.split(result.point)[0])[0] > 0.0
    errors.append(np.sqrt(np.mean(np.square(found), axis=0)))
    impossible.append(bad)
    print(f"noise {noise:3.1f}: error {errors[-1][0]:.4f}, of logarithms {errors[-1][1]:.4f}, impossible {bad} of 20")
    assert errors[-1][0] < errors[-1][1]
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.6
print(result.report())
assert impossible[0] == 0 and impossible[-1] > 0

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    axes = figure.subplots()
    axes.loglog(noises, errors, "o-", label=["on the manifold", "logarithms"])
    axes.set(xlabel="noise of the signal", ylabel="error of the tensor")
    axes.legend()
    figure.savefig("covariance_model.png")
