"""The great circle, run through at constant speed, that best fits fifty cities over their longitude.

The unknown is a pair of points, where the geodesic is at t = 0 and at t = 1: a point of a power manifold.
"""

import numpy as np

from manifold_opt import Sphere, datasets, functions, levenberg_marquardt

cities = datasets.cities()
M = Sphere(2)
t = cities.longitudes / (np.pi / 2)
regression = functions.GeodesicRegression(M, t, cities.points)

result = levenberg_marquardt(regression.manifold, regression.residual, regression.start(), jacobian=regression.jacobian)
print(result)

fitted = regression.predict(result.point, t)
distances = M.distance(cities.points, fitted)
print(f"root mean square distance: {6371.0 * np.sqrt(np.mean(distances**2)):.0f} km")

# A geodesic with any other ends nearby is worse.
rng = np.random.default_rng(0)
for _ in range(20):
    X = regression.manifold.random_vector(result.point, rng)
    for step in (-1e-3, 1e-3):
        other = regression.residual(regression.manifold.exp(result.point, X, step))
        assert 0.5 * other @ other > result.cost
assert result.converged and result.gradient_norm < 1e-8
