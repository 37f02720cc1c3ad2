"""Pose graphs with known ground truth, of any size: paths on grids, spheres, tori, rings and streets of a city.

A robot goes along a path, measures each step (odometry), and now and then recognizes a place where it has been (a loop
closure). Measurements are the true relative poses, disturbed by rotations and translations with independent normal
coordinates; outliers are loop closures that claim something else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..manifolds import Rotations, SpecialEuclidean
from ..pose_graphs.graph import PoseGraph

POLICIES = ("random", "local", "grouped", "local-grouped")
# outliers in a row that tell the same wrong story
_GROUP = 10
# how far along the path a local outlier reaches
_LOCAL = 20


def measured_graph(
    truth: Any,
    edges: Any,
    *,
    rotation_noise: float = 0.05,
    translation_noise: float = 0.05,
    outliers: float = 0.0,
    policy: str = "random",
    init: str | None = "odometry",
    rng: Any = None,
) -> PoseGraph:
    """The graph that a robot at the true poses measures.

    Parameters
    ----------
    truth : array of shape (n, d (d + 1))
        Points of ``SpecialEuclidean(d)``, in the order of the path.
    edges : array of int, shape (m, 2)
        Pairs of poses that are measured; the one from each pose to the next belongs to odometry and never is an
        outlier.
    rotation_noise : float
        Standard deviation of each coordinate of the disturbing rotation, in radians.
    translation_noise : float
        The same of the translation.
    outliers : float
        Share of outliers among the loop closures of the answer, at least 0 and below 1; they are added to the others.
    policy : {"random", "local", "grouped", "local-grouped"}
        Which poses outliers join: any, those at most 20 steps apart, or either kind in runs of 10 that agree with each
        other.
    init : {"odometry", None}
        Where ``poses`` of the graph come from.
    rng : seed or numpy.random.Generator

    Returns
    -------
    PoseGraph
        With ``truth`` and ``inliers``; inliers come first. Information matrices are those of the noise.

    Raises
    ------
    ValueError
        On a policy or a share of outliers that makes no sense.
    """
    from ..pose_graphs.initialization import odometry

    if policy not in POLICIES:
        raise ValueError(f"`policy` must be one of {', '.join(map(repr, POLICIES))}; got {policy!r}.")
    if not 0.0 <= outliers < 1.0:
        raise ValueError(f"`outliers` must be at least 0 and below 1; got {outliers!r}.")
    if init not in ("odometry", None):
        raise ValueError(f"`init` must be 'odometry' or None; got {init!r}.")
    rng = np.random.default_rng(rng)
    truth, edges = np.asarray(truth, dtype=float), np.asarray(edges)
    d = 2 if truth.shape[1] == 6 else 3
    SE, n = SpecialEuclidean(d), len(truth)
    closures = int((np.abs(edges[:, 1] - edges[:, 0]) != 1).sum())
    wrong = round(outliers / (1.0 - outliers) * closures)
    exact = SE.compose(SE.inverse(truth[edges[:, 0]]), truth[edges[:, 1]])
    if wrong:
        pairs, claims = _outliers(SE, truth, wrong, policy, rng)
        edges, exact = np.concatenate([edges, pairs]), np.concatenate([exact, claims])
    measurements = _disturbed(SE, exact, rotation_noise, translation_noise, rng)
    k = d * (d - 1) // 2
    # noise-free graphs need some weight, too
    sizes = np.repeat([translation_noise or 1.0, rotation_noise or 1.0], [d, k])
    information = np.tile(np.diag(sizes**-2.0), (len(edges), 1, 1))
    inliers = np.arange(len(edges)) < len(edges) - wrong
    graph = PoseGraph(edges, measurements, information, truth=truth, inliers=inliers)
    if init is None:
        return graph
    odometry_only = PoseGraph(edges[inliers], measurements[inliers], information[inliers], ids=np.arange(n))
    poses = SE.compose(truth[0], odometry(odometry_only))
    return PoseGraph(edges, measurements, information, poses, truth=truth, inliers=inliers)


def _disturbed(SE: Any, exact: Any, rotation: float, translation: float, rng: Any) -> Any:
    d = SE.n
    R, t = SE.split(exact)
    w = rotation * rng.standard_normal((len(R), d * (d - 1) // 2))
    SO = Rotations(d)
    return SE.join(SO.exp(R, SO.get_vector(R, w)), t + translation * rng.standard_normal(t.shape))


def _outliers(SE: Any, truth: Any, count: int, policy: str, rng: Any) -> tuple[Any, Any]:
    """Pairs of poses and what is wrongly claimed of them."""
    n, group = len(truth), _GROUP if "grouped" in policy else 1
    starts = -(-count // group)
    i = rng.integers(0, max(n - group, 1), starts)
    if "local" in policy:
        step = rng.integers(2, max(min(_LOCAL, n - group), 3), starts) * rng.choice([-1, 1], starts)
        j = np.where((i + step >= 0) & (i + step < n - group + 1), i + step, i - step)
    else:
        j = (i + rng.integers(2, max(n - group - 1, 3), starts)) % max(n - group + 1, 1)
    i, j = np.clip(i, 0, n - group), np.clip(j, 0, n - group)
    i, j = i[np.abs(i - j) > 1], j[np.abs(i - j) > 1]
    claim = SE.random_point(rng, (len(i),))
    R, t = SE.split(claim)
    # as far as the edges of the path, so that an outlier does not give itself away by its length
    claim = SE.join(R, t * np.linalg.norm(np.diff(SE.split(truth)[1], axis=0), axis=1).mean())
    k = np.arange(group)
    a, b = (i[:, None] + k).reshape(-1), (j[:, None] + k).reshape(-1)
    first = np.repeat(claim, group, axis=0)
    back = SE.compose(SE.inverse(truth[a]), truth[np.repeat(i, group)])
    on = SE.compose(SE.inverse(truth[np.repeat(j, group)]), truth[b])
    pairs, claims = np.stack([a, b], axis=1), SE.compose(SE.compose(back, first), on)
    while len(pairs) < count:  # pairs of neighbours were left out
        more, also = _outliers(SE, truth, count - len(pairs), policy, rng)
        pairs, claims = np.concatenate([pairs, more]), np.concatenate([claims, also])
    return pairs[:count], claims[:count]


def grid_graph(shape: tuple[int, ...], **noise: Any) -> PoseGraph:
    """A path that visits each point of a grid, row by row and back, and recognizes all its neighbours.

    Parameters
    ----------
    shape : tuple of two or three int
        Points along each axis, a unit of length apart; two for the plane, three for space.
    **noise
        Keywords of `measured_graph`.

    Returns
    -------
    PoseGraph
        In the plane the robot looks where it goes, in space in random directions.
    """
    shape = tuple(int(k) for k in shape)
    if len(shape) not in (2, 3) or min(shape) < 2:
        raise ValueError(f"`shape` must be two or three numbers of points, each at least 2; got {shape}.")
    rng = np.random.default_rng(noise.pop("rng", None))
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    number = np.arange(int(np.prod(shape))).reshape(shape)
    # there and back: every second row, and every second layer, the other way round
    for axis in range(len(shape) - 1):
        turned = [slice(None)] * len(shape)
        turned[axis] = slice(1, None, 2)
        back = tuple(slice(None, None, -1) if a > axis else slice(None) for a in range(len(shape)))
        number[tuple(turned)] = number[tuple(turned)][back]
    order = np.argsort(number.reshape(-1))
    t = places.reshape(-1, len(shape))[order].astype(float)
    edges = []
    for axis in range(len(shape)):
        a = np.moveaxis(number, axis, 0)
        edges.append(np.sort(np.stack([a[:-1].reshape(-1), a[1:].reshape(-1)], axis=1), axis=1))
    R = _along(t) if len(shape) == 2 else Rotations(3).random_point(rng, (len(t),))
    return measured_graph(_poses(R, t), _path_first(np.concatenate(edges), len(t)), rng=rng, **noise)


def sphere_graph(rings: int = 50, per_ring: int = 50, *, radius: float | None = None, **noise: Any) -> PoseGraph:
    """A spiral from pole to pole of a sphere, which recognizes the places of the turn before.

    Parameters
    ----------
    rings, per_ring : int
        Turns, and poses per turn.
    radius : float, optional
        Default: such that poses on the equator are one unit of length apart.
    **noise
        Keywords of `measured_graph`.

    Returns
    -------
    PoseGraph
    """
    _at_least(2, rings=rings)
    _at_least(3, per_ring=per_ring)
    n = rings * per_ring
    r = per_ring / (2.0 * np.pi) if radius is None else radius
    k = np.arange(n)
    phi = 2.0 * np.pi * k / per_ring
    theta = np.pi * (k + 0.5) / n
    out = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    ahead = np.stack([-np.sin(phi), np.cos(phi), np.zeros(n)], axis=1)
    R = np.stack([ahead, np.cross(out, ahead), out], axis=2)
    edges = np.concatenate([_steps(n), _pairs(n, per_ring)])
    return measured_graph(_poses(R, r * out), edges, **noise)


def torus_graph(
    turns: int = 50, per_turn: int = 100, *, radii: tuple[float, float] = (10.0, 3.0), **noise: Any
) -> PoseGraph:
    """A path that winds around the tube of a torus, and recognizes the places of the turn before, the last the first.

    Parameters
    ----------
    turns, per_turn : int
        Turns around the tube, and poses per turn.
    radii : pair of float
        Of the torus and of its tube.
    **noise
        Keywords of `measured_graph`.

    Returns
    -------
    PoseGraph
    """
    _at_least(3, turns=turns, per_turn=per_turn)
    n = turns * per_turn
    k = np.arange(n)
    u, v = 2.0 * np.pi * k / n, 2.0 * np.pi * k / per_turn
    a, b = radii
    center = np.stack([np.cos(u), np.sin(u), np.zeros(n)], axis=1)
    axis = np.array([0.0, 0.0, 1.0])
    out = np.cos(v)[:, None] * center + np.sin(v)[:, None] * axis
    ahead = -np.sin(v)[:, None] * center + np.cos(v)[:, None] * axis
    R = np.stack([ahead, np.cross(out, ahead), out], axis=2)
    last = np.stack([k[:per_turn], n - per_turn + k[:per_turn]], axis=1)
    edges = np.concatenate([_steps(n), _pairs(n, per_turn), last])
    return measured_graph(_poses(R, a * center + b * out), edges, **noise)


def ring_graph(n: int = 400, *, laps: int = 1, dimension: int = 2, **noise: Any) -> PoseGraph:
    """Laps around a circle, each place recognized in the next lap, and the start at the end.

    Parameters
    ----------
    n : int
        Poses per lap, a unit of length apart.
    laps : int
    dimension : {2, 3}
    **noise
        Keywords of `measured_graph`.

    Returns
    -------
    PoseGraph
    """
    _at_least(3, n=n)
    _at_least(1, laps=laps)
    if dimension not in (2, 3):
        raise ValueError(f"`dimension` must be 2 or 3; got {dimension!r}.")
    k = np.arange(n * laps)
    phi, r = 2.0 * np.pi * k / n, n / (2.0 * np.pi)
    t = r * np.stack([np.cos(phi), np.sin(phi)], axis=1)
    c, s = np.cos(phi + 0.5 * np.pi), np.sin(phi + 0.5 * np.pi)
    R = np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)
    if dimension == 3:
        R, flat = np.tile(np.eye(3), (len(k), 1, 1)), R
        R[:, :2, :2] = flat
        t = np.concatenate([t, np.zeros((len(k), 1))], axis=1)
    edges = np.concatenate([_steps(len(k)), _pairs(len(k), n), [[0, n - 1]] if n > 3 else np.empty((0, 2), int)])
    return measured_graph(_poses(R, t), edges, **noise)


def city_graph(
    n: int = 3500, *, block: int = 5, size: int | None = None, closures: float = 0.5, **noise: Any
) -> PoseGraph:
    """A drive through the streets of a city, which recognizes places it comes back to.

    Parameters
    ----------
    n : int
        Poses, a unit of length apart.
    block : int
        Length of a block: at each crossing the robot goes straight on or turns left or right.
    size : int, optional
        Blocks along each side of the city; default so many that each place is visited about three times.
    closures : float
        Share of the places visited before that are recognized.
    **noise
        Keywords of `measured_graph`.

    Returns
    -------
    PoseGraph
        In the plane.
    """
    _at_least(3, n=n)
    _at_least(1, block=block)
    rng = np.random.default_rng(noise.pop("rng", None))
    size = max(2, round(np.sqrt(n / (6.0 * block)))) if size is None else size
    moves = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    corners, heading = [np.array([size // 2, size // 2])], 0
    for _ in range(-(-n // block)):  # a loop over the crossings of the path
        turns = [h % 4 for h in (heading, heading, heading + 1, heading - 1)]
        inside = [h for h in turns if (corners[-1] + moves[h] >= 0).all() and (corners[-1] + moves[h] <= size).all()]
        heading = int(rng.choice(inside)) if inside else (heading + 2) % 4
        corners.append(corners[-1] + moves[heading])
    corner = np.array(corners, dtype=float) * block
    share = np.arange(block)[:, None] / block
    t = (corner[:-1, None] * (1.0 - share) + corner[1:, None] * share).reshape(-1, 2)[:n]
    # whoever is at a place again recognizes the visit before
    places = np.unique(np.round(t).astype(int), axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(places, kind="stable")
    again = places[order][1:] == places[order][:-1]
    pairs = np.stack([order[:-1][again], order[1:][again]], axis=1)
    pairs = pairs[(pairs[:, 1] - pairs[:, 0] > 1) & (rng.random(len(pairs)) < closures)]
    return measured_graph(_poses(_along(t), t), np.concatenate([_steps(n), pairs]), rng=rng, **noise)


def _poses(R: Any, t: Any) -> Any:
    return SpecialEuclidean(t.shape[1]).join(R, t)


def _steps(n: int) -> Any:
    return np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)


def _pairs(n: int, lag: int) -> Any:
    return np.stack([np.arange(n - lag), np.arange(lag, n)], axis=1)


def _path_first(edges: Any, n: int) -> Any:
    """Odometry in the order of the path, then the other edges."""
    steps = edges[:, 1] - edges[:, 0] == 1
    return np.concatenate([_steps(n), edges[~steps]])


def _along(t: Any) -> Any:
    """Rotations of the plane that look where the path goes."""
    step = np.diff(t, axis=0, append=2.0 * t[-1:] - t[-2:-1])
    c, s = (step / np.linalg.norm(step, axis=1, keepdims=True)).T
    return np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)


def _at_least(least: int, **numbers: int) -> None:
    for name, value in numbers.items():
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"`{name}` must be an integer of at least {least}; got {value!r}.")
