"""Fifty large cities, as points on the sphere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .shipped import shipped_records


class Cities(NamedTuple):
    """Cities on the unit sphere.

    Attributes
    ----------
    points : ndarray of shape (50, 3)
        Unit vectors: x to latitude and longitude zero, z to the north pole.
    names : tuple of str
    latitudes, longitudes : ndarray of shape (50,)
        In radians, north and east positive.
    populations : ndarray of shape (50,)
        Number of inhabitants.
    """

    points: np.ndarray
    names: tuple[str, ...]
    latitudes: np.ndarray
    longitudes: np.ndarray
    populations: np.ndarray


def cities() -> Cities:
    """Positions of fifty of the largest cities of the world.

    Returns
    -------
    Cities

    Raises
    ------
    FileNotFoundError
        When the installed geomstats does not ship the data.
    """
    records = shipped_records("cities/cities.json")
    latitudes, longitudes, populations = (
        np.array([float(record[key]) for record in records]) for key in ("lat", "lng", "population")
    )
    latitudes, longitudes = np.radians(latitudes), np.radians(longitudes)
    return Cities(
        on_sphere(latitudes, longitudes),
        tuple(record["city"] for record in records),
        latitudes,
        longitudes,
        populations,
    )


def on_sphere(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Unit vectors of shape (N, 3) of latitudes and longitudes in radians, each of shape (N,)."""
    parallel = np.cos(latitudes)
    return np.stack([parallel * np.cos(longitudes), parallel * np.sin(longitudes), np.sin(latitudes)], axis=-1)
