"""Hands in two poses, as landmarks on their joints."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .shipped import shipped_file


class Hands(NamedTuple):
    """Landmarks of hands.

    Attributes
    ----------
    landmarks : ndarray of shape (53, 22, 3)
        Positions of the 22 joints of each hand, in metres.
    labels : ndarray of int, shape (53,)
        0 for a hand that grabs, 1 for one that is spread.
    """

    landmarks: np.ndarray
    labels: np.ndarray


def hands() -> Hands:
    """Joints of 53 hands that grab or are spread, seen by a depth camera.

    Returns
    -------
    Hands

    Raises
    ------
    FileNotFoundError
        When the installed geomstats does not ship the data.

    Notes
    -----
    The reader of geomstats 2.8 takes the first hand for a heading and returns 52.

    References
    ----------
    Q. De Smedt, H. Wannous, J.-P. Vandeborre, J. Guerry, B. Le Saux, D. Filliat, "SHREC'17 track: 3D hand gesture
    recognition using a depth and skeletal dataset", Eurographics workshop on 3D object retrieval, 2017.
    """
    rows = np.loadtxt(shipped_file("hands/hands.txt"))
    labels = np.loadtxt(shipped_file("hands/labels.txt"))
    return Hands(rows.reshape(-1, 22, 3), labels.astype(int))
