"""Numbers from a user's .npy and .csv files, with errors that name the file, the line and the way out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np


class BadFile(ValueError):
    """A file cannot be read as the numbers asked for; the message is one line that names the file and the reason."""


def read_array(path: str | Path) -> np.ndarray:
    """Finite real numbers of a file.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file of at least two dimensions, or a ``.csv`` file with one point a row, with or without a heading
        line.

    Returns
    -------
    ndarray of float, two dimensions or more

    Raises
    ------
    BadFile
        When the file is missing, is of another type, or has anything else in it.
    """
    path = Path(path)
    readers = {".npy": _read_npy, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise BadFile(f"{path}: unknown type {path.suffix!r}; give a .npy or a .csv file.")
    try:
        array = readers[path.suffix.lower()](path)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or 'cannot be read'}.") from None
    if array.ndim < 2 or array.size == 0:
        raise BadFile(f"{path}: has shape {array.shape}; give one point a row, at least one.")
    bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if bad.any():
        raise BadFile(f"{path}: point {int(bad.argmax()) + 1} has a value that is not finite.")
    return array


def read_weights(path: str | Path, n: int) -> np.ndarray:
    """One number for each of n points, from a file with one a row or all in one row.

    Raises
    ------
    BadFile
        When the file cannot be read or has another number of values.
    """
    weights = read_array(path).ravel()
    if len(weights) != n:
        raise BadFile(f"{path}: has {len(weights)} weights for {n} points.")
    if weights.min() < 0.0 or weights.sum() == 0.0:
        raise BadFile(f"{path}: weights must not be negative, nor all zero.")
    return weights


def _read_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise BadFile(f"{path}: is not a .npy file of numbers ({str(error).splitlines()[0]}).") from None
    if array.dtype.kind not in "fiu":
        raise BadFile(f"{path}: has dtype {array.dtype}; give real numbers.")
    return array.astype(float)[:, None] if array.ndim == 1 else array.astype(float)


def _read_csv(path: Path) -> np.ndarray:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(n, row) for n, row in enumerate(csv.reader(file), start=1) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error):
        raise BadFile(f"{path}: is not a text file of comma-separated numbers.") from None
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        lines = lines[1:]  # a heading
    if not lines:
        raise BadFile(f"{path}: has no numbers.")
    width = len(lines[0][1])
    for n, row in lines:
        if len(row) != width:
            raise BadFile(f"{path}, line {n}: has {len(row)} columns where the first row has {width}.")
        for column, cell in enumerate(row, start=1):
            if not _is_number(cell):
                raise BadFile(f"{path}, line {n}, column {column}: {cell!r} is not a number.")
    return np.array([[float(cell) for cell in row] for _, row in lines])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


MANIFOLDS = ("euclidean", "sphere", "rotations", "spd")
"""Names of the manifolds that `points_on` knows."""

ROUNDED = 1e-3
"""How far from the manifold a point may be to count as a rounded one and be projected: three decimals are common."""


def points_on(name: str, array: np.ndarray, path: str | Path) -> tuple[Any, np.ndarray]:
    """Manifold and points that an array of a file stands for.

    Parameters
    ----------
    name : {"euclidean", "sphere", "rotations", "spd"}
        Which manifold; its size follows from the shape.
    array : ndarray
        Of shape ``(N, n)``; for matrices ``(N, n, n)``, or ``(N, n * n)`` with the matrices row by row.
    path : str or Path
        For messages.

    Returns
    -------
    M : Manifold
    points : ndarray of shape (N, *M.point_shape)
        Rounded points (see `ROUNDED`) are projected to the manifold.

    Raises
    ------
    BadFile
        When the shape makes no sense or a point is not on the manifold; the message says which.
    """
    from ..manifolds import Euclidean, Rotations, Sphere, SymmetricPositiveDefinite

    if name not in MANIFOLDS:
        raise ValueError(f"`name` must be one of {', '.join(MANIFOLDS)}; got {name!r}.")
    if name == "euclidean":
        return Euclidean(*array.shape[1:]), array
    if name == "sphere":
        if array.ndim != 2 or array.shape[1] < 2:
            raise BadFile(f"{path}: has shape {array.shape}; points on a sphere are rows of at least two numbers.")
        M: Any = Sphere(array.shape[1] - 1)
    else:
        array = _as_matrices(array, path)
        M = (Rotations if name == "rotations" else SymmetricPositiveDefinite)(array.shape[1])
    return M, np.stack([_on_manifold(M, name, x, f"{path}: point {i}") for i, x in enumerate(array, start=1)])


def _as_matrices(array: np.ndarray, path: str | Path) -> np.ndarray:
    if array.ndim == 2:
        n = round(array.shape[1] ** 0.5)
        if n * n != array.shape[1] or n < 2:
            raise BadFile(f"{path}: has {array.shape[1]} columns; a matrix n x n row by row has n^2, from 4 on.")
        return array.reshape(-1, n, n)
    if array.ndim != 3 or array.shape[1] != array.shape[2] or array.shape[1] < 2:
        raise BadFile(f"{path}: has shape {array.shape}; give square matrices, (N, n, n) or (N, n*n).")
    return array


def _on_manifold(M: Any, name: str, x: np.ndarray, where: str) -> np.ndarray:
    if name == "spd":
        projected = 0.5 * (x + x.T)
    else:
        try:
            projected = M.project_point(x)
        except ValueError as error:
            raise BadFile(f"{where}: {_one_line(error)}") from None
    if np.abs(projected - x).max() > ROUNDED * max(1.0, np.abs(x).max()):
        what = {"sphere": "has not length 1", "rotations": "is not a rotation matrix", "spd": "is not symmetric"}[name]
        raise BadFile(f"{where}: {what}.")
    try:
        M.check_point(projected)
    except ValueError as error:
        raise BadFile(f"{where}: {_one_line(error)}") from None
    return projected


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
