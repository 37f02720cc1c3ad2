"""The problems of the demo: what is asked, who answers, and who checks the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import datasets, functions
from ..core import Result
from ..manifolds import Sphere, SymmetricPositiveDefinite
from ..solvers import gradient_descent, levenberg_marquardt
from . import independent

AGREEMENT = 1e-8
"""The largest relative error of an independent check at which an answer counts as right."""

SHRINKAGES = (0.001, 0.01, 0.1, 0.5)
"""Shares of the identity for the study of how the mean of the connectomes depends on regularization."""

WATCHED = ["iteration", "cost", "gradient_norm"]


@dataclass(frozen=True)
class Outcome:
    """One solved and checked problem.

    Attributes
    ----------
    problem, manifold, solver, check : str
        In words.
    result : Result
    agreement : float
        Relative error by the independent check.
    data : dict
        What the plots need.
    """

    problem: str
    manifold: str
    solver: str
    result: Result
    check: str
    agreement: float
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the solver converged and the independent check agrees."""
        return self.result.converged and self.agreement <= AGREEMENT


def solve_all() -> Iterator[Outcome]:
    """Solve and check the problems one after the other.

    Raises
    ------
    FileNotFoundError
        When the installed geomstats does not ship the data.
    """
    yield mean_of_connectomes()
    yield rotation_of_cameras()
    yield pose_of_cameras()
    yield mean_of_cities()
    yield geodesic_of_cities()


def mean_of_connectomes(shrinkage: float = 0.0) -> Outcome:
    """Fréchet mean of the 86 connectomes, affine-invariant metric."""
    matrices = datasets.connectomes(shrinkage).matrices
    M = SymmetricPositiveDefinite(matrices.shape[1])
    f = functions.FrechetMean(M, matrices)
    result = gradient_descent(M, f.fused, f.start(), record=WATCHED)
    return Outcome(
        f"mean of {len(matrices)} connectomes",
        repr(M),
        "gradient_descent",
        result,
        "sum of logarithms by SciPy's logm",
        independent.spd_stationarity(result.point, matrices),
        {"matrices": matrices},
    )


def axes_seen_by_cameras(with_translations: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points on the axes of the object, once per camera, and where each camera sees them.

    Returns
    -------
    a, b : ndarray of shape (N, 3)
        In the frame of the object, and of the camera. N = 15, the tips of the axes for each of five cameras; with
        translations N = 20, the origin too.
    """
    rotations, translations, _ = datasets.camera_poses()
    tips = np.vstack([np.eye(3), np.zeros((1, 3))]) if with_translations else np.eye(3)
    shifts = translations[:, None] if with_translations else 0.0
    seen = tips @ rotations.transpose(0, 2, 1) + shifts
    return np.tile(tips, (len(rotations), 1)), seen.reshape(-1, 3)


def rotation_of_cameras() -> Outcome:
    """The one rotation that best explains how five cameras see the axes of the object."""
    registration = functions.RotationRegistration(*axes_seen_by_cameras(with_translations=False))
    M = registration.manifold
    result = levenberg_marquardt(
        M, registration.residual, np.eye(3), jacobian=registration.jacobian, record=WATCHED
    )
    R, _ = independent.rigid_motion(registration.a, registration.b, translation=False)
    return Outcome(
        "rotation that fits 5 camera poses",
        repr(M),
        "levenberg_marquardt",
        result,
        "Kabsch, by SciPy's align_vectors",
        independent.relative_difference(result.point, R),
    )


def pose_of_cameras() -> Outcome:
    """The one rigid motion that best explains how five cameras see the axes and the origin of the object."""
    registration = functions.RigidRegistration(*axes_seen_by_cameras(with_translations=True))
    M = registration.manifold
    p0 = M.join(np.eye(3), np.zeros(3))
    result = levenberg_marquardt(M, registration.residual, p0, jacobian=registration.jacobian, record=WATCHED)
    expected = M.join(*independent.rigid_motion(registration.a, registration.b, translation=True))
    return Outcome(
        "rigid motion that fits 5 camera poses",
        repr(M),
        "levenberg_marquardt",
        result,
        "Kabsch, by SciPy's align_vectors",
        independent.relative_difference(result.point, expected),
        {"poses": datasets.camera_poses(), "fit": M.split(result.point)},
    )


def mean_of_cities() -> Outcome:
    """Fréchet mean of fifty cities on the sphere, from the projected arithmetic mean."""
    cities = datasets.cities()
    M = Sphere(2)
    f = functions.FrechetMean(M, cities.points)
    result = gradient_descent(M, f.fused, f.start(), record=WATCHED)
    return Outcome(
        "mean of 50 cities",
        repr(M),
        "gradient_descent",
        result,
        "sum of logarithms, by arctan2",
        independent.sphere_stationarity(result.point, cities.points),
        {"cities": cities},
    )


def geodesic_of_cities() -> Outcome:
    """The great circle, run through at constant speed, that best fits the cities over their longitude.

    Time is the longitude over 90 degrees, so that the geodesic goes from p at the longitude of Greenwich to q at that
    of Dhaka.
    """
    cities = datasets.cities()
    regression = functions.GeodesicRegression(Sphere(2), cities.longitudes / (np.pi / 2), cities.points)
    M = regression.manifold
    result = levenberg_marquardt(
        M, regression.residual, regression.start(), jacobian=regression.jacobian, record=WATCHED
    )
    p, q = result.point
    return Outcome(
        "geodesic regression of 50 cities on their longitude",
        repr(M),
        "levenberg_marquardt",
        result,
        "derivative, by Jacobi fields",
        independent.regression_stationarity(p, q, regression.t, cities.points),
        {"cities": cities, "geodesic": regression.predict(result.point, np.linspace(-2.0, 2.0, 400))},
    )


@dataclass(frozen=True)
class ShrinkageRow:
    """How the mean of the connectomes answers to shrinkage.

    Attributes
    ----------
    shrinkage : float
        Share of the identity in the data.
    condition : float
        Largest condition number among the data.
    distance : float
        Riemannian distance of the mean from the mean of the raw data.
    moved : float
        The same, over the distance that the raw mean moves when a single person is left out (the mean over people,
        to first order: the norm of that person's logarithm over N - 1).
    iterations : int
    agreement : float
        Relative error by the independent check.
    """

    shrinkage: float
    condition: float
    distance: float
    moved: float
    iterations: int
    agreement: float


def shrinkage_study(raw: Outcome) -> list[ShrinkageRow]:
    """Solve `mean_of_connectomes` for other shrinkages and compare with the raw answer.

    Parameters
    ----------
    raw : Outcome
        Of ``mean_of_connectomes()``.
    """
    mean, matrices = raw.result.point, raw.data["matrices"]
    M = SymmetricPositiveDefinite(matrices.shape[1])
    one_person = float(np.mean(M.distance(mean, matrices))) / (len(matrices) - 1)
    rows = []
    for shrinkage in SHRINKAGES:
        outcome = mean_of_connectomes(shrinkage)
        distance = M.distance(mean, outcome.result.point)
        rows.append(
            ShrinkageRow(
                shrinkage,
                float(np.linalg.cond(outcome.data["matrices"]).max()),
                distance,
                distance / one_person,
                outcome.result.iterations,
                outcome.agreement,
            )
        )
    return rows
