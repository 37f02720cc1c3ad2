"""Fréchet mean of fifty cities on the sphere: the place whose mean squared distance to them all is least."""

import numpy as np

from manifold_opt import Sphere, datasets, functions, gradient_descent

cities = datasets.cities()
M = Sphere(2)
f = functions.FrechetMean(M, cities.points)

result = gradient_descent(M, f.fused, f.start())
print(result)
x, y, z = result.point
print(f"latitude {np.degrees(np.arcsin(z)):.3f}, longitude {np.degrees(np.arctan2(y, x)):.3f}")

# The directions to all cities, each as long as the way there, balance.
across = np.linalg.norm(np.cross(result.point, cities.points), axis=1)
along = cities.points @ result.point
way = np.arctan2(across, along) / across
pull = way @ (cities.points - along[:, None] * result.point)
assert np.linalg.norm(pull) < 1e-8 * np.arctan2(across, along).sum()

# No city is a better place, and neither is anywhere else on a grid over the whole globe.
latitude, longitude = np.meshgrid(np.radians(np.arange(-85, 90, 5)), np.radians(np.arange(-180, 180, 5)))
grid = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], -1)
assert result.cost < min(f(p) for p in grid.reshape(-1, 3))
