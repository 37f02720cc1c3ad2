r"""Bundle adjustment: the poses of cameras, their lenses and the points that they see, all from pictures.

    f = 1/2 sum_i rho(|pixels(camera_c(i), X_p(i)) - seen_i|^2)

A similarity of space (rotation, translation, scale) changes nothing in the pictures: seven directions are free, the
gauge.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np

from ..manifolds import Euclidean, PowerManifold, ProductManifold, SpecialEuclidean
from ..objectives.blocks import BlockObjective, ResidualBlock
from .cameras import CameraModel

_SE3 = SpecialEuclidean(3)
GAUGE = ("rotation x", "rotation y", "rotation z", "translation x", "translation y", "translation z", "scale")
"""Names of the columns of `BundleProblem.gauge`."""


@dataclass(frozen=True, eq=False)
class BundleProblem:
    """Cameras, points, and what was seen: the data of a bundle adjustment and where it starts.

    Parameters
    ----------
    model : CameraModel
    poses : array of shape (C, 12)
        Points of ``SpecialEuclidean(3)`` (R by rows, then t): a point X stands at R X + t before the camera.
    points : array of shape (P, 3)
    camera_index, point_index : array of int, shape (N,)
        Which camera saw which point.
    seen : array of shape (N, 2)
        In pixels.
    lens : array of shape (C, len(model.lens)) or (len(model.lens),), optional
        The variable numbers of each camera's lens, or of the one that all share. Default: none.
    weights : array of shape (N,), optional
        Factors of the squared errors; 1 over the variance of a pixel coordinate.
    camera_ids, point_ids : array of int of shapes (C,) and (P,), optional
        What a file calls them; default their positions.

    Attributes
    ----------
    manifold : ProductManifold
        Of ``cameras``, a power of SE(3); ``lens``, a power of R^k or the one that is shared, where there are variable
        numbers; and ``points``.
    start : array
        The point of it that the poses, lenses and points stand for.

    Raises
    ------
    ValueError
        When shapes do not fit, an index is out of range, a number is not finite, or a pose is not one.
    """

    model: CameraModel
    poses: Any
    points: Any
    camera_index: Any
    point_index: Any
    seen: Any
    _: KW_ONLY
    lens: Any = None
    weights: Any = None
    camera_ids: Any = None
    point_ids: Any = None

    def __post_init__(self) -> None:
        k = len(self.model.lens)
        for name, shape in (("poses", (-1, 12)), ("points", (-1, 3)), ("seen", (-1, 2))):
            x = np.array(getattr(self, name), dtype=float)
            if x.ndim != 2 or x.shape[1] != shape[1] or not np.isfinite(x).all():
                raise ValueError(f"`{name}` must be finite and of shape (n, {shape[1]}); got shape {x.shape}.")
            object.__setattr__(self, name, x)
        for name, n in (("camera_index", len(self.poses)), ("point_index", len(self.points))):
            index = np.array(getattr(self, name))
            if index.shape != (len(self.seen),) or index.dtype.kind not in "iu":
                raise ValueError(
                    f"`{name}` must be integers, one for each of the {len(self.seen)} rows of `seen`; got shape "
                    f"{index.shape}, dtype {index.dtype}."
                )
            if len(index) and not 0 <= index.min() <= index.max() < n:
                raise ValueError(f"`{name}` must be in 0..{n - 1}; got {index.min()}..{index.max()}.")
            object.__setattr__(self, name, index)
        lens = np.zeros((len(self.poses), 0)) if self.lens is None else np.array(self.lens, dtype=float)
        if lens.shape not in ((k,), (len(self.poses), k)) or not np.isfinite(lens).all():
            raise ValueError(
                f"`lens` must be finite and of shape ({k},), shared, or ({len(self.poses)}, {k}): the model has the "
                f"variables {self.model.lens}; got shape {lens.shape}."
            )
        object.__setattr__(self, "lens", lens)
        for name, n in (("camera_ids", len(self.poses)), ("point_ids", len(self.points))):
            ids = np.arange(n) if getattr(self, name) is None else np.array(getattr(self, name))
            if ids.shape != (n,):
                raise ValueError(f"`{name}` must have one number for each of {n}; got shape {ids.shape}.")
            object.__setattr__(self, name, ids)
        _SE3.check_point(self.poses, 1e-8)
        M = ProductManifold(**self._factors())
        object.__setattr__(self, "manifold", M)
        object.__setattr__(self, "start", M.join(*self._values()))

    def __repr__(self) -> str:
        return (
            f"BundleProblem({len(self.poses)} cameras, {len(self.points)} points, {len(self.seen)} observations, "
            f"lens {'/'.join(self.model.lens) or 'constant'}{' shared' if self.shares_lens else ''})"
        )

    @property
    def shares_lens(self) -> bool:
        """Whether all cameras have one lens."""
        return self.lens.ndim == 1 and self.lens.size > 0

    def _factors(self) -> dict[str, Any]:
        k, n = len(self.model.lens), len(self.poses)
        lens = Euclidean(k) if self.shares_lens else PowerManifold(Euclidean(k), n) if k else None
        points = PowerManifold(Euclidean(3), len(self.points))
        return {"cameras": PowerManifold(_SE3, n), **({"lens": lens} if k else {}), "points": points}

    def _values(self) -> list[Any]:
        return [self.poses, *([self.lens] if self.model.lens else []), self.points]

    # the objective

    def block(self, loss: Any = None) -> ResidualBlock:
        """The family of all reprojection errors.

        Parameters
        ----------
        loss : str, Loss or callable, optional
            Robust loss of the squared length of each error.
        """
        names, indices = ["cameras", "points"], [self.camera_index, self.point_index]
        if self.model.lens:
            names.insert(1, "lens")
            indices.insert(1, None if self.shares_lens else self.camera_index)
        return ResidualBlock(
            self._residual,
            names,
            indices=indices,
            jacobian=self._jacobian,
            loss=loss,
            weight=self.weights,
            name="reprojection",
        )

    def objective(self, loss: Any = None) -> BlockObjective:
        """The cost, for any solver on ``manifold``."""
        return BlockObjective(self.block(loss))

    def _residual(self, pose: Any, *lens_and_point: Any) -> Any:
        lens, X = (None, *lens_and_point)[-2:]
        return self.model.pixels(pose, lens, X) - self.seen

    def _jacobian(self, pose: Any, *lens_and_point: Any) -> tuple[Any, ...]:
        lens, X = (None, *lens_and_point)[-2:]
        by_camera, by_point = self.model.derivatives(pose, lens, X)
        return (by_camera, by_point) if lens is None else (by_camera[..., :6], by_camera[..., 6:], by_point)

    # points of the manifold

    def parts(self, p: Any) -> tuple[Any, Any, Any]:
        """Poses ``(C, 12)``, lenses ``(C, k)`` or ``(k,)``, and points ``(P, 3)`` of a point of the manifold."""
        values = self.manifold.split(p)  # type: ignore[attr-defined]  # set in __post_init__
        return values if self.model.lens else (values[0], self.lens, values[1])

    def at(self, p: Any) -> BundleProblem:
        """The same observations, starting from another point: how an answer is kept."""
        poses, lens, points = self.parts(p)
        return replace(self, poses=poses, lens=lens, points=points)

    def errors(self, p: Any = None) -> Any:
        """Reprojection errors in pixels, ``(N, 2)``, at the start or another point; without weights."""
        poses, lens, points = self.parts(self.start if p is None else p)  # type: ignore[attr-defined]
        lens = np.broadcast_to(lens, (len(poses), len(self.model.lens)))[self.camera_index]
        return self.model.pixels(poses[self.camera_index], lens, points[self.point_index]) - self.seen

    def behind(self, p: Any = None) -> Any:
        """Mask of the observations whose point is behind its camera, ``(N,)``."""
        poses, _, points = self.parts(self.start if p is None else p)  # type: ignore[attr-defined]
        return ~(self.model.depth(poses[self.camera_index], points[self.point_index]) > 0.0)

    def centers(self, p: Any = None) -> Any:
        """Where the cameras stand, -R't, ``(C, 3)``."""
        poses, _, _ = self.parts(self.start if p is None else p)  # type: ignore[attr-defined]
        R, t = _SE3.split(poses)
        return -np.einsum("cij,ci->cj", R, t)

    def guarded(self, share: float = 1.0 / 300.0) -> BundleProblem:
        """The problem with a rule for points behind their cameras, see ``least_depth`` of `CameraModel`.

        From a bad start, points slip behind cameras where the plain formula mirrors them, and stay there.

        Parameters
        ----------
        share : float
            The least depth as a share of the median depth, at the start, of the points before their cameras.
        """
        if not share > 0.0:
            raise ValueError(f"`share` must be positive; got {share!r}.")
        depth = self.model.depth(self.poses[self.camera_index], self.points[self.point_index])
        ahead = depth[depth > 0.0]
        if not ahead.size:
            raise ValueError("no point is before its camera: check `axis` of the model, 1 or -1.")
        return replace(self, model=replace(self.model, least_depth=share * float(np.median(ahead))))

    # what is not determined

    def select(self, keep: Any) -> BundleProblem:
        """The observations of a mask (or of indices), and the cameras and points that these still see.

        Parameters
        ----------
        keep : array of bool of shape (N,), or of int

        Returns
        -------
        BundleProblem
            Cameras and points keep their order and are numbered anew.
        """
        keep = np.arange(len(self.seen))[keep]
        cameras, c = np.unique(self.camera_index[keep], return_inverse=True)
        points, i = np.unique(self.point_index[keep], return_inverse=True)
        return replace(
            self,
            poses=self.poses[cameras],
            points=self.points[points],
            lens=self.lens if self.lens.ndim == 1 else self.lens[cameras],
            camera_index=c,
            point_index=i,
            seen=self.seen[keep],
            weights=None if self.weights is None else np.broadcast_to(self.weights, (len(self.seen),))[keep],
            camera_ids=self.camera_ids[cameras],
            point_ids=self.point_ids[points],
        )

    def gauge(self, p: Any = None) -> Any:
        """Coordinates of the seven motions of all cameras and points together that no picture shows.

        Parameters
        ----------
        p : array, optional
            Where; default the start.

        Returns
        -------
        array of shape (dim, 7)
            Columns as named in `GAUGE`. The Jacobian times each of them is zero.
        """
        M = self.manifold  # type: ignore[attr-defined]  # set in __post_init__
        poses, _, points = self.parts(self.start if p is None else p)  # type: ignore[attr-defined]
        R, t = _SE3.split(poses)
        C, P, eye = len(poses), len(points), np.eye(3)
        turned = np.cross(eye[:, None, :], points[None])  # w x X
        by_point = np.concatenate([turned, np.broadcast_to(eye[:, None, :], (3, P, 3)), points[None]])
        # a camera keeps its picture: R' = R exp(-[w]), t' = t - R u, and t grows with the scale
        by_camera = np.zeros((7, C, 6))
        by_camera[:3, :, :3] = by_camera[3:6, :, 3:] = -eye[:, None, :]
        by_camera[6, :, 3:] = np.einsum("cij,ci->cj", R, t)
        lens = np.zeros((7, M.dim - 6 * C - 3 * P))
        return np.hstack([by_camera.reshape(7, -1), lens, by_point.reshape(7, -1)]).T

    def weaknesses(self) -> list[str]:
        """What the observations cannot determine, in sentences; empty where nothing but the gauge is free.

        Counts only: points seen once, cameras with too few points for their numbers, and parts that share neither
        cameras nor points, each of which floats by a similarity of its own.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        C, P, found = len(self.poses), len(self.points), []
        pairs = np.stack(np.divmod(np.unique(self.camera_index.astype(np.int64) * P + self.point_index), P))
        views = np.bincount(pairs[1], minlength=P)
        if (views < 2).any():
            found.append(
                f"{int((views < 2).sum())} points are seen by fewer than two cameras (the first is number "
                f"{int(np.argmax(views < 2))}): their depth is free; leave them out."
            )
        own = 6 + (0 if self.shares_lens else len(self.model.lens))
        seen = np.bincount(pairs[0], minlength=C)
        few = 2 * seen < own
        if few.any():
            found.append(
                f"{int(few.sum())} cameras see fewer points than their {own} numbers need (the first is number "
                f"{int(np.argmax(few))}); leave them out or fix them."
            )
        graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], C + pairs[1])), shape=(C + P, C + P))
        _, label = connected_components(graph, directed=False)
        used = np.unique(label[pairs[0]])
        if len(used) > 1:
            sizes = sorted((int((label[:C] == part).sum()) for part in used), reverse=True)
            found.append(
                f"the observations fall into {len(used)} parts without common cameras or points, of "
                f"{', '.join(map(str, sizes[:5]))} cameras: each floats by itself; solve them one by one."
            )
        return found
