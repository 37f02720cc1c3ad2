"""The data sets are what their sources say they are, and are read without importing geomstats."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from manifold_opt import datasets
from manifold_opt.datasets import shipped


def test_connectomes_are_positive_definite_correlations():
    matrices, patients, labels = datasets.connectomes()
    assert matrices.shape == (86, 28, 28) and len(set(patients)) == 86
    np.testing.assert_array_equal(matrices, matrices.transpose(0, 2, 1))
    np.testing.assert_array_equal(np.diagonal(matrices, axis1=1, axis2=2), 1.0)
    # Only the right order of the 378 columns makes all of them positive definite.
    assert np.linalg.eigvalsh(matrices).min() == pytest.approx(0.0022674, rel=1e-4)
    assert set(labels) == {0, 1} and labels.sum() == 40


def test_shrinkage_mixes_with_the_identity():
    raw, shrunk = datasets.connectomes().matrices, datasets.connectomes(shrinkage=0.25).matrices
    np.testing.assert_allclose(shrunk, 0.75 * raw + 0.25 * np.eye(28), atol=1e-16)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.0, float("nan")])
def test_bad_shrinkage_is_refused(shrinkage):
    with pytest.raises(ValueError, match="shrinkage"):
        datasets.connectomes(shrinkage)


def test_camera_poses_are_rigid_motions():
    rotations, translations, images = datasets.camera_poses()
    assert rotations.shape == (5, 3, 3) and translations.shape == (5, 3) and len(images) == 5
    gram = rotations @ rotations.transpose(0, 2, 1)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, rtol=1e-14)


def test_cities_stand_on_the_sphere_where_they_should():
    cities = datasets.cities()
    assert cities.points.shape == (50, 3)
    np.testing.assert_allclose(np.linalg.norm(cities.points, axis=1), 1.0, rtol=1e-15)
    tokyo, paris = (cities.points[cities.names.index(name)] for name in ("Tokyo", "Paris"))
    # 9,700 km along the great circle, by any atlas.
    assert 6371.0 * np.arccos(tokyo @ paris) == pytest.approx(9714.0, abs=15.0)


def test_reading_does_not_import_geomstats():
    code = (
        "import sys; from manifold_opt import datasets as d; d.cities(); d.camera_poses(); d.connectomes();"
        "print([m for m in ('geomstats', 'pandas', 'sklearn') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="no data file 'cities/atlantis.json'"):
        shipped.shipped_file("cities/atlantis.json")


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(shipped, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="geomstats"):
        datasets.cities()


def test_hands_are_all_there():
    """geomstats takes the first one for a heading."""
    landmarks, labels = datasets.hands()
    assert landmarks.shape == (53, 22, 3) and labels.shape == (53,)
    assert list(np.bincount(labels)) == [26, 27]
    # a hand in a box of less than half a metre, in front of the camera
    assert np.ptp(landmarks, axis=1).max() < 0.5 and landmarks[..., 2].min() > 0.1
