"""Made-up scenes for bundle adjustment, of any size, with the truth known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functions.bundle_problem import BundleProblem
from ..functions.cameras import CameraModel
from ..manifolds import Rotations, SpecialEuclidean
from .bundle_files import BAL_MODEL

OUTLIERS = ("uniform", "mismatch", "tracks")
# a picture reaches this far from its center, in units of the focal length
_HALF_WIDTH = 0.7
# cameras on either side of the one before a point that may see it
_NEIGHBOURS = 12


class BundleScene(NamedTuple):
    """A scene, what was seen of it, and the truth.

    Attributes
    ----------
    problem : BundleProblem
        Observations with noise and outliers, and a start away from the truth.
    truth : array
        Point of ``problem.manifold``: the cameras and points as they are.
    inliers : array of bool, shape (N,)
        Which observations are no outliers.
    noise : float
        Standard deviation of each pixel coordinate of the inliers.
    """

    problem: BundleProblem
    truth: Any
    inliers: Any
    noise: float


def bundle_scene(
    cameras: int = 49,
    points: int = 7776,
    observations: int = 31843,
    *,
    layout: str = "street",
    model: CameraModel = BAL_MODEL,
    shared_lens: bool = False,
    noise: float = 0.5,
    outliers: float = 0.0,
    outlier_policy: str = "uniform",
    start: float = 1.0,
    rng: Any = None,
) -> BundleScene:
    """Cameras along a street or around a building, each seeing what is near and before it.

    Parameters
    ----------
    cameras, points, observations : int
        How many; each point is seen by two cameras at least, and by those nearest to it.
    layout : {"street", "ring"}
        A straight row of cameras that look to one side, or a closed one around a building that look inward.
    model : CameraModel
        Default that of BAL. Variable numbers of the lens are drawn about f = 800 and small distortions.
    shared_lens : bool
        Whether all cameras have one lens.
    noise : float
        Standard deviation of the pixel coordinates.
    outliers : float
        Share of the observations that are wrong, in [0, 1).
    outlier_policy : {"uniform", "mismatch", "tracks"}
        Wrong ones are anywhere in the picture; or where the camera sees another of its points; or all those of some
        points but the first two views, shifted together (a track that slipped onto another object).
    start : float
        How far the start is from the truth: at 1 cameras are turned by 0.01 rad and moved by a tenth of the distance
        between neighbours, points moved by twice that, focal lengths wrong by 1 % (standard deviations).
    rng : seed or numpy.random.Generator

    Returns
    -------
    BundleScene

    Raises
    ------
    ValueError
        On numbers that do not fit together.

    Examples
    --------
    >>> from manifold_opt.datasets import bundle_scene
    >>> bundle_scene(8, 100, 400, rng=0).problem
    BundleProblem(8 cameras, 100 points, 400 observations, lens f/k1/k2)
    """
    rng = np.random.default_rng(rng)
    _check(cameras, points, observations, layout, noise, outliers, outlier_policy, start)
    poses, X, home = (_street if layout == "street" else _ring)(cameras, points, model.axis, rng)
    lens = _lenses(model, () if shared_lens else (cameras,), rng)
    c, p = _visible(model, poses, X, home, observations, layout == "ring", rng)
    exact = BundleProblem(model, poses, X, c, p, np.zeros((len(c), 2)), lens=lens if model.lens else None)
    true_pixels = exact.errors()
    seen = true_pixels + noise * rng.standard_normal((len(c), 2))
    wrong = _choose_outliers(outliers, outlier_policy, p, rng)
    seen[wrong] = _wrong_pixels(outlier_policy, true_pixels, wrong, c, p, rng)
    lens0 = lens.copy()
    for i, name in enumerate(model.lens):
        # distortions are not known at the start, focal lengths nearly
        if name == "f":
            lens0[..., i] *= 1.0 + 0.01 * start * rng.standard_normal(lens.shape[:-1])
        elif start > 0.0 and name not in ("cx", "cy"):
            lens0[..., i] = 0.0
    problem = BundleProblem(
        model,
        _displaced(poses, exact.centers(), 0.01 * start, 0.1 * start, rng),
        X + 0.2 * start * rng.standard_normal(X.shape),
        c,
        p,
        seen,
        lens=lens0 if model.lens else None,
    )
    return BundleScene(problem, exact.start, ~wrong, noise)  # type: ignore[attr-defined]


def _check(
    cameras: int, points: int, observations: int, layout: str, noise: float, outliers: float, policy: str, start: float
) -> None:
    most = points * min(cameras, 2 * _NEIGHBOURS + 1)
    for name, holds, must, value in (
        ("cameras", cameras >= 2, "at least 2", cameras),
        ("points", points >= 1, "at least 1", points),
        ("observations", 2 * points <= observations <= most, f"in {2 * points}..{most}", observations),
        ("layout", layout in ("street", "ring"), "'street' or 'ring'", layout),
        ("noise", noise >= 0.0, "at least 0", noise),
        ("outliers", 0.0 <= outliers < 1.0, "in [0, 1)", outliers),
        ("outlier_policy", policy in OUTLIERS, f"one of {', '.join(map(repr, OUTLIERS))}", policy),
        ("start", start >= 0.0, "at least 0", start),
    ):
        if not holds:
            raise ValueError(f"`{name}` must be {must}; got {value!r}.")


def _street(n: int, points: int, axis: int, rng: Any) -> tuple[Any, Any, Any]:
    """Cameras at distance one along x, looking along y; facades four to ten away."""
    home = rng.uniform(-0.5, n - 0.5, points)
    centers = np.stack([np.arange(n), np.zeros(n), np.zeros(n)], axis=1) + 0.1 * rng.standard_normal((n, 3))
    X = np.stack([home, rng.uniform(4.0, 10.0, points), rng.uniform(-2.0, 2.0, points)], axis=1)
    forward = np.broadcast_to([0.0, 1.0, 0.0], (n, 3))
    return _looking(centers, forward, axis, rng), X, np.clip(np.rint(home).astype(int), 0, n - 1)


def _ring(n: int, points: int, axis: int, rng: Any) -> tuple[Any, Any, Any]:
    """Cameras at distance one around a building whose walls are half as far from the middle."""
    home = rng.uniform(-0.5, n - 0.5, points)
    radius = max(n / (2.0 * np.pi), 6.0)
    around = lambda k: np.stack([np.cos(2.0 * np.pi * k / n), np.sin(2.0 * np.pi * k / n), 0.0 * k], axis=1)
    out = around(np.arange(n))
    centers = radius * out + 0.1 * rng.standard_normal((n, 3))
    depth = rng.uniform(3.0, min(8.0, 0.6 * radius), points)
    X = (radius - depth)[:, None] * around(home)
    X[:, 2] = rng.uniform(-1.5, 1.5, points)
    return _looking(centers, -out, axis, rng), X, np.rint(home).astype(int) % n


def _looking(centers: Any, forward: Any, axis: int, rng: Any) -> Any:
    """Poses of cameras at these places that look about forward, z being up."""
    SO3, SE3 = Rotations(3), SpecialEuclidean(3)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    down = np.cross(forward, right)
    R = np.stack([right, axis * down, axis * forward], axis=1)
    R = SO3.exp(R, SO3.get_vector(R, 0.05 * rng.standard_normal((len(R), 3))))
    return SE3.join(R, -np.einsum("cij,cj->ci", R, centers))


def _displaced(poses: Any, centers: Any, angle: float, distance: float, rng: Any) -> Any:
    """Poses of cameras turned where they stand, and then moved."""
    SO3, SE3 = Rotations(3), SpecialEuclidean(3)
    eye = np.eye(3)
    R = SO3.exp(eye, SO3.get_vector(eye, angle * rng.standard_normal((len(poses), 3)))) @ SE3.split(poses)[0]
    return SE3.join(R, -np.einsum("cij,cj->ci", R, centers + distance * rng.standard_normal(centers.shape)))


def _lenses(model: CameraModel, shape: tuple[int, ...], rng: Any) -> Any:
    """Numbers of the lenses about usual ones."""
    usual = {"f": (800.0, 20.0), "cx": (0.0, 5.0), "cy": (0.0, 5.0), "k1": (-0.05, 0.02), "k2": (0.01, 0.01)}
    values = [usual.get(name, (0.0, 1e-3)) for name in model.lens]
    draws = [mean + deviation * rng.standard_normal(shape) for mean, deviation in values]
    return np.stack(draws, axis=-1) if draws else np.zeros((*shape, 0))


def _visible(
    model: CameraModel, poses: Any, X: Any, home: Any, observations: int, closed: bool, rng: Any
) -> tuple[Any, Any]:
    """Which cameras see which points: the nearest ones before which the point is, in the picture where it can be."""
    n, P = len(poses), len(X)
    width = min(n, 2 * _NEIGHBOURS + 1)
    near = home[:, None] + np.arange(width) - width // 2
    near = near % n if closed else near + np.maximum(0, -near[:, :1]) - np.maximum(0, near[:, -1:] - n + 1)
    u = np.einsum("pkij,pj->pki", poses[near, :9].reshape(P, width, 3, 3), X) + poses[near, 9:]
    z = model.axis * u[..., 2]
    aside = np.maximum(abs(u[..., 0]), abs(u[..., 1])) / np.where(z > 0.0, z, 1.0)
    # the nearest first; those that see it only outside their picture last, behind never
    distance = np.linalg.norm(u, axis=-1) + np.where(aside > _HALF_WIDTH, 1e3 * (1.0 + aside), 0.0)
    distance = np.where(z > 0.5, distance, np.inf)
    order = np.argsort(distance, axis=1)
    possible = np.isfinite(distance).sum(axis=1)
    inside = np.maximum((distance < 1e3).sum(axis=1), 2)
    if possible.min() < 2 or possible.sum() < observations:
        most = int(possible.sum())
        raise ValueError(f"`observations`: only {most} are possible here; ask for fewer, or more points.")
    views = _shares(observations, np.full(P, 2), np.minimum(inside, possible), possible, rng)
    rank = np.arange(width) < views[:, None]
    p = np.repeat(np.arange(P), views)
    return np.take_along_axis(near, order, axis=1)[rank], p


def _shares(total: int, least: Any, usual: Any, most: Any, rng: Any) -> Any:
    """Whole numbers between least and most with this sum, up to ``usual`` first."""
    views = least.copy()
    for bound in (usual, most):
        room = np.repeat(np.arange(len(views)), np.maximum(bound - views, 0))
        chosen = rng.permutation(room)[: total - int(views.sum())]
        views = views + np.bincount(chosen, minlength=len(views))
    return views


def _choose_outliers(share: float, policy: str, p: Any, rng: Any) -> Any:
    wrong = np.zeros(len(p), bool)
    n = round(share * len(p))
    if policy != "tracks":
        wrong[rng.permutation(len(p))[:n]] = True
        return wrong
    first = np.concatenate([[0], np.flatnonzero(np.diff(p)) + 1])  # observations are sorted by point
    later = np.arange(len(p)) - np.repeat(first, np.diff(np.concatenate([first, [len(p)]]))) >= 2
    order = rng.permutation(p.max() + 1)
    candidates = np.flatnonzero(later)[np.argsort(np.argsort(order)[p[later]], kind="stable")]
    wrong[candidates[:n]] = True
    return wrong


def _wrong_pixels(policy: str, pixels: Any, wrong: Any, c: Any, p: Any, rng: Any) -> Any:
    n = int(wrong.sum())
    if policy == "uniform":
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        return rng.uniform(low, high, (n, 2))
    if policy == "tracks":
        shift = 50.0 * rng.standard_normal((p.max() + 1, 2))
        return pixels[wrong] + shift[p[wrong]]
    # another observation of the same camera: the one after a random number of its own
    order = np.lexsort((rng.random(len(c)), c))
    place = np.empty(len(c), int)
    place[order] = np.arange(len(c))
    counts = np.bincount(c)
    starts = np.concatenate([[0], np.cumsum(counts)])[c]
    other = order[starts + (place - starts + 1) % counts[c]]
    return pixels[other[wrong]]
