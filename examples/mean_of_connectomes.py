"""Fréchet mean of 86 brain connectomes, 28 x 28 correlation matrices.

The arithmetic mean of positive definite matrices swells: its determinant exceeds those of the data. The mean in the
affine-invariant metric does not, and its logarithm of the determinant is the average of those of the data.
"""

import numpy as np
from scipy.linalg import inv, logm, sqrtm

from manifold_opt import SymmetricPositiveDefinite, datasets, functions, gradient_descent

matrices = datasets.connectomes().matrices
M = SymmetricPositiveDefinite(28)
f = functions.FrechetMean(M, matrices)

result = gradient_descent(M, f.fused, f.start())
print(result)

# At the mean the logarithms of the data add up to zero; SciPy's logm is no relative of ours.
root = inv(sqrtm(result.point).real)
logs = np.array([logm(root @ x @ root).real for x in matrices])
assert np.linalg.norm(logs.sum(axis=0)) < 1e-8 * np.linalg.norm(logs, axis=(1, 2)).sum()

log_determinants = np.linalg.slogdet(matrices)[1]
assert np.isclose(np.linalg.slogdet(result.point)[1], log_determinants.mean(), rtol=1e-9)
assert np.linalg.slogdet(matrices.mean(axis=0))[1] > log_determinants.mean()
