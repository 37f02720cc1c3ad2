r"""Files of bundle adjustment: BAL text, Bundler's ``.out``, and the binary of libmv; plain, or by xz, gzip or bzip2.

All give a `manifold_opt.functions.BundleProblem`; what is wrong with a file is said with the line, or the offset in
bytes, and what was expected there.

References
----------
.. [1] S. Agarwal, N. Snavely, S. M. Seitz, R. Szeliski, Bundle adjustment in the large, ECCV 2010: the BAL format.
.. [2] N. Snavely, Bundler v0.4 user's manual: the bundle file format v0.3.
.. [3] libmv, whose cameras look along +z and whose problems Ceres Solver distributes.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..functions.bundle_problem import BundleProblem
from ..functions.cameras import CameraModel
from ..manifolds import Rotations, SpecialEuclidean
from .files import BadFile

BAL_MODEL = CameraModel(("f", "k1", "k2"), axis=-1)
"""The camera of BAL and Bundler: focal length and two radial distortions, looking along -z."""

_SO3, _SE3 = Rotations(3), SpecialEuclidean(3)
_PACKED: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_LIBMV_LENS = ("f", "cx", "cy", "k1", "k2", "k3", "p1", "p2")


def read_bal(path: str | Path) -> BundleProblem:
    """A problem in the text format of "Bundle adjustment in the large".

    The first line has the numbers of cameras, points and observations; a line for each observation its camera, point, x
    and y; then come nine numbers for each camera (rotation vector, translation, f, k1, k2) and three for each point.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    BundleProblem

    Raises
    ------
    BadFile
        When the file cannot be read as such, naming the line and what was expected.
    """
    text = _Text(path)
    cameras, points, n = text.counts(3, "the numbers of cameras, points and observations")
    seen = text.numbers(4 * n, "observations (camera, point, x, y)").reshape(n, 4)
    values = text.numbers(9 * cameras, "cameras (rotation vector, translation, f, k1, k2)").reshape(cameras, 9)
    X = text.numbers(3 * points, "points").reshape(points, 3)
    text.end()
    first = text.first(4 * n, 9 * cameras, 3 * points)
    index = text.indices(seen[:, :2], (cameras, points), first)
    R = _SO3.exp(np.eye(3), _SO3.get_vector(np.eye(3), values[:, :3]))
    return BundleProblem(
        BAL_MODEL,
        _SE3.join(R, values[:, 3:6]),
        X,
        index[:, 0],
        index[:, 1],
        seen[:, 2:],
        lens=values[:, 6:],
    )


def write_bal(path: str | Path, problem: BundleProblem) -> None:
    """Write a problem in the text format that `read_bal` reads, to the last digit.

    Parameters
    ----------
    path : str or Path
        Packed where the name ends in .xz, .gz or .bz2.
    problem : BundleProblem
        Its cameras look along -z and have f, k1 and k2. A shared lens is written once for each camera.

    Raises
    ------
    ValueError
        When the format cannot say what the problem is.
    """
    f_k1_k2 = _bal_lens(problem, "the BAL format")
    R, t = _SE3.split(problem.poses)
    turn = _SO3.get_coordinates(np.eye(3), _SO3.log(np.broadcast_to(np.eye(3), R.shape), R))
    with _opened(path, "wt") as file:
        file.write(f"{len(problem.poses)} {len(problem.points)} {len(problem.seen)}\n")
        rows = zip(
            problem.camera_index.tolist(), problem.point_index.tolist(), *problem.seen.T.tolist(), strict=True
        )
        file.writelines(f"{c} {p} {x!r} {y!r}\n" for c, p, x, y in rows)
        numbers = np.concatenate([np.hstack([turn, t, f_k1_k2]).ravel(), problem.points.ravel()])
        file.writelines(f"{value!r}\n" for value in numbers.tolist())


def _bal_lens(problem: BundleProblem, what: str) -> Any:
    """Numbers (C, 3) of the lenses; an error where there are others."""
    model = problem.model
    if model.axis != -1 or model.lens != BAL_MODEL.lens or any(value != 0.0 for _, value in model.constants):
        raise ValueError(
            f"{what} is for cameras that look along -z with the lens ('f', 'k1', 'k2') and no constants; the problem "
            f"has {model!r}."
        )
    return np.broadcast_to(problem.lens, (len(problem.poses), 3))


def read_bundler(path: str | Path) -> BundleProblem:
    """A result of Bundler, a ``bundle.out`` of version 0.3.

    Cameras that it could not place (f = 0) are left out; ``camera_ids`` says which are there. Colors are not kept.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    BundleProblem

    Raises
    ------
    BadFile
        When the file cannot be read as such, naming the line and what was expected.
    """
    text = _Text(path, header="# Bundle file v0.3")
    n, points = text.counts(2, "the numbers of cameras and points")
    cameras = text.numbers(15 * n, "cameras (f, k1, k2, nine of the rotation, three of the translation)").reshape(n, 15)
    X, track, views = np.empty((points, 3)), [], []
    for i in range(points):  # a point's line is as long as it has views
        head = text.numbers(7, "points (position, color, number of views)")
        count = int(head[6])
        if count != head[6] or count < 0:
            raise text.bad("a whole number of views")
        X[i] = head[:3]
        views.append(text.numbers(4 * count, "views (camera, key, x, y)").reshape(count, 4))
        track.append(np.full(count, i))
    text.end()
    seen = np.concatenate(views) if views else np.empty((0, 4))
    point_index = np.concatenate(track) if track else np.empty(0, int)
    c = seen[:, 0].astype(int)
    if len(c) and not (0 <= c.min() and c.max() < n):
        raise BadFile(f"{path}: a view names camera {c.min() if c.min() < 0 else c.max()}; there are {n} of them.")
    placed = cameras[:, 0] != 0.0
    if not placed[c].all():
        raise BadFile(f"{path}: a point is seen by camera {c[~placed[c]][0]}, whose focal length is 0.")
    R = _rotations(path, cameras[placed, 3:12].reshape(-1, 3, 3), 1e-4)
    return BundleProblem(
        BAL_MODEL,
        _SE3.join(R, cameras[placed, 12:]),
        X,
        (np.cumsum(placed) - 1)[c],
        point_index,
        seen[:, 2:],
        lens=cameras[placed, :3],
        camera_ids=np.flatnonzero(placed),
    )


def write_bundler(path: str | Path, problem: BundleProblem) -> None:
    """Write a ``bundle.out`` of version 0.3; points are black, and keys are counted camera by camera.

    Parameters
    ----------
    path : str or Path
        Packed where the name ends in .xz, .gz or .bz2.
    problem : BundleProblem
        Its cameras look along -z and have f, k1 and k2. Cameras are written at the positions ``camera_ids`` say.

    Raises
    ------
    ValueError
        When the format cannot say what the problem is.
    """
    lens = _bal_lens(problem, "Bundler's format")
    ids = problem.camera_ids
    if ids.min() < 0 or len(np.unique(ids)) < len(ids):
        raise ValueError("`camera_ids` must be different and not negative: they are positions in the file.")
    cameras = np.zeros((int(ids.max()) + 1, 15))
    cameras[ids] = np.hstack([lens, problem.poses])
    order = np.lexsort((problem.camera_index, problem.point_index))
    c = ids[problem.camera_index]
    by_camera = np.argsort(c, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(c, minlength=len(cameras)))])
    keys = np.empty(len(c), int)
    keys[by_camera] = np.arange(len(c)) - starts[c[by_camera]]
    ends = np.concatenate([[0], np.cumsum(np.bincount(problem.point_index, minlength=len(problem.points)))])
    with _opened(path, "wt") as file:
        file.write(f"# Bundle file v0.3\n{len(cameras)} {len(problem.points)}\n")
        for row in cameras.tolist():
            for a, b in ((0, 3), (3, 6), (6, 9), (9, 12), (12, 15)):
                file.write(" ".join(map(repr, row[a:b])) + "\n")
        for i, x in enumerate(problem.points.tolist()):
            views = order[ends[i] : ends[i + 1]]
            words = [f"{c[j]} {keys[j]} {problem.seen[j, 0]!s} {problem.seen[j, 1]!s}" for j in views]
            file.write(" ".join(map(repr, x)) + "\n0 0 0\n" + " ".join([str(len(views)), *words]) + "\n")


def read_libmv(path: str | Path) -> BundleProblem:
    """A problem in the binary format of libmv, as Ceres Solver distributes three.

    The lens is constant (``problem.model.constants``); observations in normalized coordinates are turned into pixels.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    BundleProblem
        With the image of each camera as ``camera_ids`` and the track of each point as ``point_ids``.

    Raises
    ------
    BadFile
        When the file cannot be read as such, naming the offset in bytes and what was expected.
    """
    data = _Bytes(path)
    data.order = data.choice({b"v": "<", b"V": ">"}, "'v' (little endian) or 'V' (big endian)")
    pixels = data.choice({b"P": True, b"N": False}, "'P' (pixels) or 'N' (normalized coordinates)")
    lens = data.take([("lens", "f4", 8)], 1, "eight numbers of the lens")["lens"][0].astype(float)
    cameras = data.records([("id", "i4"), ("R", "f4", (3, 3)), ("t", "f4", 3)], "cameras")
    points = data.records([("id", "i4"), ("X", "f4", 3)], "points")
    markers = data.records([("image", "i4"), ("track", "i4"), ("seen", "f4", 2)], "observations")
    data.end()
    # rotations are written column by column
    R = _rotations(path, cameras["R"].astype(float).swapaxes(1, 2), 1e-4)
    seen = markers["seen"].astype(float)
    model = CameraModel((), dict(zip(_LIBMV_LENS, lens, strict=True)))
    if not pixels:
        ideal = np.concatenate([seen, np.ones((len(seen), 1))], axis=1)
        seen = model.pixels(np.broadcast_to(_SE3.identity(), (len(seen), 12)), None, ideal)
    return BundleProblem(
        model,
        _SE3.join(R, cameras["t"].astype(float)),
        points["X"].astype(float),
        _positions(path, cameras["id"], markers["image"], "image"),
        _positions(path, points["id"], markers["track"], "track"),
        seen,
        camera_ids=cameras["id"].astype(int),
        point_ids=points["id"].astype(int),
    )


def write_libmv(path: str | Path, problem: BundleProblem) -> None:
    """Write a problem in the binary format of libmv: single precision, little endian, pixels.

    Parameters
    ----------
    path : str or Path
        Packed where the name ends in .xz, .gz or .bz2.
    problem : BundleProblem
        Its cameras look along +z and have one lens.

    Raises
    ------
    ValueError
        When the format cannot say what the problem is.
    """
    model = problem.model
    if model.axis != 1 or (model.lens and not problem.shares_lens):
        raise ValueError(
            f"libmv's format is for cameras that look along +z and share one lens; the problem is {problem!r}."
        )
    numbers = {"f": 1.0, **dict(model.constants), **dict(zip(model.lens, problem.lens, strict=False))}
    R, t = _SE3.split(problem.poses)
    cameras = _records([("id", "<i4"), ("R", "<f4", (3, 3)), ("t", "<f4", 3)], problem.camera_ids, R.swapaxes(1, 2), t)
    points = _records([("id", "<i4"), ("X", "<f4", 3)], problem.point_ids, problem.points)
    images, tracks = problem.camera_ids[problem.camera_index], problem.point_ids[problem.point_index]
    markers = _records([("image", "<i4"), ("track", "<i4"), ("seen", "<f4", 2)], images, tracks, problem.seen)
    with _opened(path, "wb") as file:
        file.write(b"vP" + np.array([numbers.get(name, 0.0) for name in _LIBMV_LENS], "<f4").tobytes())
        for records in (cameras, points, markers):
            file.write(np.array(len(records), "<i4").tobytes() + records.tobytes())


def _records(dtype: list[Any], *columns: Any) -> Any:
    records = np.empty(len(columns[0]), np.dtype(dtype))
    for (name, *_), values in zip(dtype, columns, strict=True):
        records[name] = values
    return records


def _positions(path: Any, ids: Any, wanted: Any, what: str) -> Any:
    """Where each of the wanted ids stands."""
    order = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    if len(wanted) and (not len(ids) or (ids[order[place]] != wanted).any()):
        missing = wanted[0] if not len(ids) else wanted[ids[order[place]] != wanted][0]
        raise BadFile(f"{path}: an observation names {what} {missing}, which the file does not have.")
    return order[place]


def _rotations(path: Any, R: Any, tolerance: float) -> Any:
    """The nearest rotations to matrices that are rounded ones."""
    error = np.abs(np.einsum("nij,nkj->nik", R, R) - np.eye(3)).reshape(-1, 9).max(axis=1, initial=0.0)
    bad = ~(error < tolerance) | ~(np.linalg.det(R) > 0.0)
    if bad.any():
        raise BadFile(f"{path}: the rotation of camera {int(bad.argmax())} is not a rotation matrix.")
    return _SO3.project_point(R)


def _opened(path: Any, mode: str) -> Any:
    opener = _PACKED.get(Path(path).suffix.lower())
    if opener is not None:
        return opener(path, mode) if "b" in mode else opener(path, mode, encoding="ascii")
    return open(path, mode) if "b" in mode else open(path, mode, encoding="ascii")


def _content(path: Any) -> bytes:
    try:
        with _opened(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise BadFile(f"{path}: there is no such file.") from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise BadFile(f"{path}: cannot be read ({error}).") from None


class _Text:
    """Numbers of a text file one after the other, whatever its lines; lines are looked up when something is wrong."""

    def __init__(self, path: Any, header: str = "") -> None:
        self.path, self.data, self.skipped = path, _content(path), 0
        body = self.data
        if header:
            first, _, body = self.data.partition(b"\n")
            if first.strip() != header.encode():
                raise BadFile(f"{path}, line 1: expected {header!r}; found {first[:40].decode('ascii', 'replace')!r}.")
            self.skipped = 1
        self.body, self.at = body, 0
        self._values = _parsed(body)

    @cached_property
    def words(self) -> list[bytes]:
        """All words; needed only where something is wrong."""
        return self.body.split()

    def counts(self, n: int, what: str) -> list[int]:
        """The next n words, which must be counts."""
        if self._values is not None:
            found = self._values[self.at : self.at + n]
            if len(found) == n and (found >= 0.0).all() and (found == found.astype(int)).all():
                self.at += n
                return list(map(int, found))
        try:
            values = [int(word) for word in self.words[self.at : self.at + n]]
        except ValueError:
            values = []
        if len(values) < n or min(values) < 0:
            raise self.bad(f"{what}")
        self.at += n
        return values

    def numbers(self, n: int, what: str) -> Any:
        """The next n words as finite numbers."""
        if self._values is not None:
            found = self._values[self.at : self.at + n]
            if len(found) == n and np.isfinite(found).all():
                self.at += n
                return found
        words = self.words[self.at : self.at + n]
        try:
            values = np.array(words, dtype=float) if words else np.empty(0)
        except ValueError:
            self.at += next(i for i, word in enumerate(words) if not _is_number(word))
            raise self.bad(f"a number of the {what}") from None
        if not np.isfinite(values).all():
            self.at += int(np.argmin(np.isfinite(values)))
            raise self.bad(f"a finite number of the {what}")
        if len(words) < n:
            self.at = len(self.words)
            raise self.bad(f"{n} numbers of {what}, of which {n - len(words)} are missing")
        self.at += n
        return values

    def first(self, *sizes: int) -> int:
        """Position of the word that stands so many words before the end."""
        return self.at - sum(sizes)

    def indices(self, values: Any, limits: tuple[int, ...], first: int) -> Any:
        """Columns of whole numbers below their limits; rows are four words long, from ``first`` on."""
        index = values.astype(int)
        for column, limit in enumerate(limits):
            bad = (index[:, column] != values[:, column]) | (index[:, column] < 0) | (index[:, column] >= limit)
            if bad.any():
                self.at = first + 4 * int(bad.argmax()) + column
                raise self.bad(f"a number in 0..{limit - 1}")
        return index

    def end(self) -> None:
        """Nothing must follow."""
        if self.at < len(self.words if self._values is None else self._values):
            raise self.bad("the end of the file")

    def bad(self, expected: str) -> BadFile:
        """The error at the current word."""
        left = self.at
        for number, line in enumerate(self.data.split(b"\n")[self.skipped :], start=1 + self.skipped):
            words = line.split()
            if left < len(words):
                found = words[left][:40].decode("ascii", "replace")
                return BadFile(f"{self.path}, line {number}: expected {expected}; found {found!r}.")
            left -= len(words)
        return BadFile(f"{self.path}: ends where {expected} should be.")


class _Bytes:
    """Records of a binary file one after the other."""

    def __init__(self, path: Any) -> None:
        self.path, self.data, self.at = path, _content(path), 0
        self.order: Any = "<"

    def choice(self, meanings: dict[bytes, Any], what: str) -> Any:
        """What the next byte means."""
        byte = self.data[self.at : self.at + 1]
        if byte not in meanings:
            raise BadFile(f"{self.path}, offset {self.at}: expected {what}; found {byte!r}.")
        self.at += 1
        return meanings[byte]

    def take(self, dtype: list[Any], n: int, what: str) -> Any:
        """The next n records."""
        kind = np.dtype(dtype).newbyteorder(self.order)
        have = len(self.data) - self.at
        if n * kind.itemsize > have:
            needed = n * kind.itemsize
            raise BadFile(
                f"{self.path}, offset {self.at}: expected {what}, {needed} bytes; the file ends after {have}."
            )
        records = np.frombuffer(self.data, kind, n, self.at)
        for name in kind.names or ():
            if kind[name].base.kind == "f" and not np.isfinite(records[name]).all():
                raise BadFile(f"{self.path}, offset {self.at}: expected finite {what}; found others.")
        self.at += n * kind.itemsize
        return records

    def records(self, dtype: list[Any], what: str) -> Any:
        """A count, and as many records."""
        n = int(self.take([("n", "i4")], 1, f"the number of {what}")["n"][0])
        if n < 0:
            raise BadFile(f"{self.path}, offset {self.at - 4}: expected the number of {what}; found {n}.")
        return self.take(dtype, n, f"{n} {what}")

    def end(self) -> None:
        """Nothing must follow."""
        if self.at < len(self.data):
            raise BadFile(f"{self.path}, offset {self.at}: expected the end; {len(self.data) - self.at} bytes follow.")


def _parsed(body: bytes) -> Any:
    """All numbers at once, or None where there is something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(body, sep=" ")
        except (DeprecationWarning, ValueError):
            return None


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
