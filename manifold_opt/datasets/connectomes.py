"""Functional connectivity of 86 brains, as correlation matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .shipped import shipped_rows

REGIONS = 28


class Connectomes(NamedTuple):
    """Correlation matrices of brain activity.

    Attributes
    ----------
    matrices : ndarray of shape (86, 28, 28)
        Symmetric positive definite.
    patients : tuple of int, length 86
        Identifiers.
    labels : ndarray of int, shape (86,)
        1 for a patient with schizophrenia, 0 for a control.
    """

    matrices: np.ndarray
    patients: tuple[int, ...]
    labels: np.ndarray


def connectomes(shrinkage: float = 0.0) -> Connectomes:
    r"""Correlations between the activity of 28 brain regions of each of 86 people.

    Parameters
    ----------
    shrinkage : float, default 0.0
        Share a of the identity, 0 <= a < 1, in the returned matrices ``(1 - a) C + a I``. All the raw matrices C are
        positive definite, the smallest eigenvalue of all being 0.0023; shrinkage bounds it below by ``a``.

    Returns
    -------
    Connectomes

    Raises
    ------
    FileNotFoundError
        When the installed geomstats does not ship the data.
    ValueError
        When ``shrinkage`` is outside [0, 1).

    Notes
    -----
    The file has the 378 correlations above the diagonal, row by row; any other order gives indefinite matrices. The
    reader of geomstats 2.8 halves the correlations, which is ``shrinkage=0.5`` here.

    References
    ----------
    R. F. Silva et al., "The tenth annual MLSP competition: schizophrenia classification challenge", IEEE MLSP 2014.
    """
    if not 0.0 <= shrinkage < 1.0:
        raise ValueError(f"`shrinkage` must be in [0, 1), the share of the identity; got {shrinkage!r}.")
    rows = shipped_rows("connectomes/train_FNC.csv")
    correlations = np.array([[float(value) for value in row[1:]] for row in rows])
    matrices = np.zeros((len(rows), REGIONS, REGIONS))
    i, j = np.triu_indices(REGIONS, 1)
    matrices[:, i, j] = matrices[:, j, i] = (1.0 - shrinkage) * correlations
    matrices[:, range(REGIONS), range(REGIONS)] = 1.0

    label_of = {int(row[0]): int(row[1]) for row in shipped_rows("connectomes/train_labels.csv")}
    patients = tuple(int(row[0]) for row in rows)
    return Connectomes(matrices, patients, np.array([label_of[patient] for patient in patients]))
