"""The g2o text format of pose graphs, in the plane and in space.

    VERTEX_SE2 id x y theta                    EDGE_SE2 i j x y theta I11 I12 I13 I22 I23 I33
    VERTEX_SE3:QUAT id x y z qx qy qz qw       EDGE_SE3:QUAT i j x y z qx qy qz qw I11 I12 ... I66
    FIX id ...

The numbers I are the upper triangle of the information matrix by rows, translation before rotation. Lines may come in
any order; empty lines and what follows a # are skipped. Files that end in .xz, .gz or .bz2 are packed and unpacked.

References
----------
R. Kümmerle, G. Grisetti, H. Strasdat, K. Konolige, W. Burgard, g2o: a general framework for graph optimization, ICRA
2011; the format is described in the documentation of that software.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..manifolds.quaternions import matrix_quaternion, quaternion_matrix
from ..pose_graphs.graph import PoseGraph
from .files import BadFile


class _Record(NamedTuple):
    """What a line with some tag has on it: integers first, then reals."""

    dimension: int
    integers: int
    reals: int
    fields: str


_RECORDS = {
    "VERTEX_SE2": _Record(2, 1, 3, "id x y theta"),
    "VERTEX_SE3:QUAT": _Record(3, 1, 7, "id x y z qx qy qz qw"),
    "EDGE_SE2": _Record(2, 2, 9, "i j x y theta I11 I12 I13 I22 I23 I33"),
    "EDGE_SE3:QUAT": _Record(3, 2, 28, "i j x y z qx qy qz qw I11 I12 ... I66"),
}
# quaternions are printed with six digits or so; what is further from length one is something else
_QUATERNION = 1e-2


def read_g2o(path: Any) -> PoseGraph:
    """Read a pose graph.

    Parameters
    ----------
    path : str or Path
        A g2o file, possibly packed (``.xz``, ``.gz``, ``.bz2``).

    Returns
    -------
    PoseGraph
        Poses in the order of their ids; ``poses`` is None for a file without VERTEX lines.

    Raises
    ------
    BadFile
        When the file cannot be read, or has a line that makes no sense: the message names the file, the line and what
        was expected there.

    Notes
    -----
    Information matrices are taken as they are printed; some well-known files have ones that are not positive definite,
    see `PoseGraph.indefinite`.
    """
    lines = _read_text(Path(path)).splitlines()
    numbers: dict[str, list[int]] = {}
    for k, line in enumerate(lines):
        content = line.partition("#")[0].split(None, 1)
        if content:
            numbers.setdefault(content[0], []).append(k)
    for tag, found in numbers.items():
        if tag not in _RECORDS and tag != "FIX":
            raise _bad(path, found[0], f"unknown tag {tag!r}; known ones are {', '.join(_RECORDS)} and FIX")
    dimensions = sorted({_RECORDS[tag].dimension for tag in numbers if tag != "FIX"})
    if len(dimensions) == 2:
        first = [min(found[0] for tag, found in numbers.items() if tag[-3:] == end) for end in ("SE2", "UAT")]
        later = max(first)
        raise _bad(path, later, "a file has either SE2 or SE3:QUAT lines, but this one has both")
    edge_tag = "EDGE_SE2" if dimensions == [2] else "EDGE_SE3:QUAT"
    if edge_tag not in numbers:
        raise BadFile(f"{path}: has no EDGE_SE2 or EDGE_SE3:QUAT lines.")
    tables = {tag: _table(path, tag, lines, numbers.get(tag, [])) for tag in _RECORDS if tag in numbers}
    return _graph(path, edge_tag, tables, numbers, lines)


def _graph(path: Any, edge_tag: str, tables: Any, numbers: Any, lines: list[str]) -> PoseGraph:
    ends, values = tables[edge_tag]
    vertex_tag = edge_tag.replace("EDGE", "VERTEX")
    loops = np.flatnonzero(ends[:, 0] == ends[:, 1])
    if len(loops):
        raise _bad(path, numbers[edge_tag][loops[0]], f"the edge joins vertex {ends[loops[0], 0]} to itself")
    poses = None
    if vertex_tag in tables:
        names, places = tables[vertex_tag]
        ids, first = np.unique(names[:, 0], return_index=True)
        if len(ids) < len(names):
            again = int(np.setdiff1d(np.arange(len(names)), first)[0])
            raise _bad(path, numbers[vertex_tag][again], f"vertex {names[again, 0]} was there before")
        poses = _points(path, places, numbers[vertex_tag])[first]
    else:
        ids = np.unique(ends)
    edges = np.searchsorted(ids, ends)
    missing = np.flatnonzero((ids[np.minimum(edges, len(ids) - 1)] != ends).any(axis=1))
    if len(missing):
        i, j = ends[missing[0]]
        lost = i if i not in ids else j
        raise _bad(path, numbers[edge_tag][missing[0]], f"there is no vertex {lost}")
    size = 3 if edge_tag == "EDGE_SE2" else 7
    p = 3 if size == 3 else 6
    information = np.zeros((len(ends), p, p))
    rows, columns = np.triu_indices(p)
    information[:, rows, columns] = information[:, columns, rows] = values[:, size:]
    measurements = _points(path, values[:, :size], numbers[edge_tag])
    fixed = _fixed(path, numbers.get("FIX", []), lines, ids)
    return PoseGraph(edges, measurements, information, poses, ids, fixed)


def _read_text(path: Path) -> str:
    try:
        with _opened(path, "rb") as file:
            return file.read().decode("ascii")
    except UnicodeDecodeError:
        raise BadFile(f"{path}: is not a text file.") from None
    except EOFError:
        raise BadFile(f"{path}: the packed file ends early.") from None
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or 'cannot be unpacked'}.") from None
    except Exception as error:
        if type(error).__name__ != "LZMAError":  # the module may be missing, and so its error
            raise
        raise BadFile(f"{path}: cannot be unpacked.") from None


def _opened(path: Path, mode: str) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".xz":
        import lzma

        return lzma.open(path, mode)
    if suffix == ".gz":
        import gzip

        return gzip.open(path, mode)
    if suffix == ".bz2":
        import bz2

        return bz2.open(path, mode)
    return path.open(mode)


def _bad(path: Any, line: int, what: str) -> BadFile:
    return BadFile(f"{path}, line {line + 1}: {what}.")


def _table(path: Any, tag: str, lines: list[str], numbers: list[int]) -> tuple[Any, Any]:
    """Integers and reals of all lines with a tag, each of shape (number of lines, ...)."""
    record = _RECORDS[tag]
    width = record.integers + record.reals
    contents = [lines[k].partition("#")[0].split(None, 1) for k in numbers]
    for k, content in zip(numbers, contents, strict=True):
        found = len(content[1].split()) if len(content) > 1 else 0
        if found != width:
            raise _bad(path, k, f"expected {tag} and {width} numbers ({record.fields}), found {found}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how a text that is no number is reported
        try:
            flat = np.fromstring(" ".join(content[1] for content in contents), sep=" ")
        except ValueError:
            flat = np.empty(0)
    if flat.size != width * len(numbers) or not np.isfinite(flat).all():
        for k, content in zip(numbers, contents, strict=True):
            _check_words(path, k, content[1].split(), record)
    table = flat.reshape(len(numbers), width)
    integers = table[:, : record.integers].astype(np.int64)
    broken = np.flatnonzero((integers != table[:, : record.integers]).any(axis=1))
    if len(broken):
        _check_words(path, numbers[broken[0]], contents[broken[0]][1].split(), record)
    return integers, table[:, record.integers :]


def _check_words(path: Any, k: int, words: list[str], record: _Record) -> None:
    """Raise an error for the first word of a line that is not the number it should be."""
    names = record.fields.replace("...", " ".join(["I"] * (record.reals - 9))).split()
    for i, word in enumerate(words):
        kind = "an integer" if i < record.integers else "a finite number"
        try:
            good = int(word) == float(word) if i < record.integers else np.isfinite(float(word))
        except ValueError:
            good = False
        if not good:
            raise _bad(path, k, f"expected {kind} for {names[i]}, found {word!r}")


def _points(path: Any, places: Any, numbers: list[int]) -> Any:
    """Points of SE(d) from positions and orientations."""
    if places.shape[1] == 3:
        x, y, theta = places.T
        c, s = np.cos(theta), np.sin(theta)
        return np.stack([c, -s, s, c, x, y], axis=1)
    q = places[:, 3:]
    off = np.flatnonzero(np.abs(np.sqrt(np.sum(q * q, axis=1)) - 1.0) > _QUATERNION)
    if len(off):
        size = float(np.linalg.norm(q[off[0]]))
        raise _bad(path, numbers[off[0]], f"expected a quaternion of length 1, found one of length {size:.6g}")
    # real part first here, last in files
    R = quaternion_matrix(np.roll(q / np.sqrt(np.sum(q * q, axis=1, keepdims=True)), 1, axis=1))
    return np.concatenate([R.reshape(-1, 9), places[:, :3]], axis=1)


def _fixed(path: Any, numbers: list[int], lines: list[str], ids: Any) -> list[int]:
    """Numbers of the vertices on FIX lines."""
    fixed = []
    for k in numbers:
        words = lines[k].partition("#")[0].split()[1:]
        if not words:
            raise _bad(path, k, "expected FIX and the ids of vertices")
        for word in words:
            try:
                i = int(np.searchsorted(ids, int(word)))
            except ValueError:
                raise _bad(path, k, f"expected an integer for the id of a vertex, found {word!r}") from None
            if i == len(ids) or ids[i] != int(word):
                raise _bad(path, k, f"there is no vertex {word}")
            fixed.append(i)
    return fixed


def write_g2o(path: Any, graph: PoseGraph, poses: Any = None) -> None:
    """Write a pose graph, with all digits.

    Parameters
    ----------
    path : str or Path
        A file that is replaced; ``.xz``, ``.gz`` and ``.bz2`` are packed.
    graph : PoseGraph
    poses : array of shape (n, d (d + 1)), optional
        Written as vertices instead of ``graph.poses``; a point of ``graph.manifold`` will do, too. Without either there
        are no VERTEX lines.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    d = graph.dimension
    parts = []
    poses = graph.poses if poses is None else np.asarray(poses, dtype=float).reshape(graph.num_poses, d * (d + 1))
    kind = "SE2" if d == 2 else "SE3:QUAT"
    if poses is not None:
        parts.append(_text(f"VERTEX_{kind} %d", graph.ids[:, None], _numbers(poses, d)))
    if len(graph.fixed):
        parts.append("".join(f"FIX {i}\n" for i in graph.ids[graph.fixed]))
    rows, columns = np.triu_indices(d * (d + 1) // 2)
    values = np.concatenate([_numbers(graph.measurements, d), graph.information[:, rows, columns]], axis=1)
    parts.append(_text(f"EDGE_{kind} %d %d", graph.ids[graph.edges], values))
    with _opened(Path(path), "wb") as file:
        file.write("".join(parts).encode("ascii"))


def _numbers(points: Any, d: int) -> Any:
    """Positions and orientations of points of SE(d), as they stand in a file."""
    R, t = points[:, : d * d].reshape(-1, d, d), points[:, d * d :]
    if d == 2:
        return np.concatenate([t, np.arctan2(R[:, 1, 0], R[:, 0, 0])[:, None]], axis=1)
    return np.concatenate([t, np.roll(matrix_quaternion(R), -1, axis=1)], axis=1)


def _text(start: str, integers: Any, values: Any) -> str:
    # 17 digits give back every double
    line = start + " %.17g" * values.shape[1]
    return "".join(
        line % (*numbers, *reals) + "\n" for numbers, reals in zip(integers.tolist(), values.tolist(), strict=True)
    )
