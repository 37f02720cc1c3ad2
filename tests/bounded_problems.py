"""The bounded problems of Moré, Garbow and Hillstrom, with the least sums of squares published for these boxes.

References
----------
J. J. Moré, B. S. Garbow, K. E. Hillstrom, Testing unconstrained optimization software, ACM TOMS 7 (1981), 17-41.
"""

from __future__ import annotations

from typing import NamedTuple

import autograd.numpy as np


class Bounded(NamedTuple):
    residual: object
    start: tuple
    lower: tuple
    upper: tuple
    least: float


def _beale(x):
    return np.array([1.5 - x[0] * (1.0 - x[1]), 2.25 - x[0] * (1.0 - x[1] ** 2), 2.625 - x[0] * (1.0 - x[1] ** 3)])


def _helical(x):
    turn = np.arctan2(x[1], x[0]) / (2.0 * np.pi)
    turn = np.where(turn < -0.25, turn + 1.0, turn)
    return np.array([10.0 * (x[2] - 10.0 * turn), 10.0 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1.0), x[2]])


_GAUSSIAN = 1e-4 * np.array([9, 44, 175, 540, 1295, 2420, 3521, 3989, 3521, 2420, 1295, 540, 175, 44, 9])


def _gaussian(x):
    t = (8.0 - np.arange(1, 16)) / 2.0
    return x[0] * np.exp(-0.5 * x[1] * (t - x[2]) ** 2) - _GAUSSIAN


def _box3d(x):
    t = 0.1 * np.arange(1, 4)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10.0 * t))


def _wood(x):
    return np.array(
        [
            10.0 * (x[1] - x[0] ** 2),
            1.0 - x[0],
            np.sqrt(90.0) * (x[3] - x[2] ** 2),
            1.0 - x[2],
            np.sqrt(10.0) * (x[1] + x[3] - 2.0),
            (x[1] - x[3]) / np.sqrt(10.0),
        ]
    )


def _brown_dennis(x):
    t = np.arange(1, 21) / 5.0
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def _biggs(x):
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5.0 * np.exp(-10.0 * t) + 3.0 * np.exp(-4.0 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


PROBLEMS = {
    "Powell badly scaled": Bounded(
        lambda x: np.array([1e4 * x[0] * x[1] - 1.0, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001]),
        (0.0, 1.0),
        (0.0, 1.0),
        (1.0, 9.0),
        1.5125900e-10,
    ),
    "Brown badly scaled": Bounded(
        lambda x: np.array([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0]), (1.0, 1.0), (0.0, 3e-5), (1e6, 100.0), 784.0
    ),
    "Beale": Bounded(_beale, (1.0, 1.0), (0.6, 0.5), (10.0, 100.0), 0.0),
    "Helical valley": Bounded(_helical, (-1.0, 0.0, 0.0), (-100.0, -1.0, -1.0), (0.8, 1.0, 1.0), 0.99042212),
    "Gaussian": Bounded(_gaussian, (0.4, 1.0, 0.0), (0.398, 1.0, -0.5), (4.2, 2.0, 0.1), 1.12793e-8),
    "Box 3-D": Bounded(_box3d, (0.0, 10.0, 20.0), (0.0, 5.0, 0.0), (2.0, 9.5, 20.0), 3.0998153e-6),
    "Wood": Bounded(
        _wood, (-3.0, -1.0, -3.0, -1.0), (-100.0, -100.0, -100.0, -100.0), (0.0, 10.0, 100.0, 100.0), 1.5567008
    ),
    "Brown-Dennis": Bounded(
        _brown_dennis, (25.0, 5.0, -5.0, -1.0), (-10.0, 0.0, -100.0, -20.0), (100.0, 15.0, 0.0, 0.2), 88860.479
    ),
    "Biggs EXP6": Bounded(
        _biggs,
        (1.0, 2.0, 1.0, 1.0, 1.0, 1.0),
        (0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
        (2.0, 8.0, 1.0, 7.0, 5.0, 5.0),
        5.3209865e-4,
    ),
}
"""Gulf's problem is left out: its published optimum in a box belongs to a misprinted formula."""
