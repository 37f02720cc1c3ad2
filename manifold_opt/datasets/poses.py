"""Poses of five cameras, each looking at a bed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .shipped import shipped_records


class CameraPoses(NamedTuple):
    """Rigid motions from the frame of an object to that of the camera: ``x_camera = R x + t``.

    Attributes
    ----------
    rotations : ndarray of shape (5, 3, 3)
        R, orthogonal with determinant 1.
    translations : ndarray of shape (5, 3)
        t, in the units of the object's model.
    images : tuple of str
        The photographs they belong to.
    """

    rotations: np.ndarray
    translations: np.ndarray
    images: tuple[str, ...]


def camera_poses() -> CameraPoses:
    """Poses of the cameras that took five photographs of beds.

    Returns
    -------
    CameraPoses

    Raises
    ------
    FileNotFoundError
        When the installed geomstats does not ship the data.

    References
    ----------
    X. Sun et al., "Pix3D: Dataset and methods for single-image 3D shape modeling", CVPR 2018.
    """
    records = shipped_records("poses/poses.json")
    return CameraPoses(
        np.array([record["rot_mat"] for record in records], dtype=float),
        np.array([record["trans_mat"] for record in records], dtype=float),
        tuple(record["img"] for record in records),
    )
