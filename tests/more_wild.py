"""The 53 problems of Moré and Wild: 22 functions, most of Moré, Garbow and Hillstrom, in several sizes and starts.

References
----------
J. J. Moré, S. M. Wild, Benchmarking derivative-free optimization algorithms, SIAM J. Optim. 20 (2009), 172-191.
J. J. Moré, B. S. Garbow, K. E. Hillstrom, Testing unconstrained optimization software, ACM TOMS 7 (1981), 17-41.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import autograd.numpy as np


def _linear(x, m):
    n = len(x)
    total = 2.0 * np.sum(x) / m + 1.0
    return np.concatenate([x - total, -total * np.ones(m - n)])


def _linear_rank_1(x, m):
    total = np.dot(np.arange(1.0, len(x) + 1.0), x)
    return np.arange(1.0, m + 1.0) * total - 1.0


def _linear_rank_1_zeros(x, m):
    total = np.dot(np.arange(2.0, len(x)), x[1:-1])
    return np.concatenate([np.arange(m - 1.0) * total - 1.0, np.array([-1.0])])


def _rosenbrock(x, m):
    return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def _helical(x, m):
    turn = np.arctan2(x[1], x[0]) / (2.0 * np.pi)
    turn = np.where(turn < -0.25, turn + 1.0, turn)
    return np.array([10.0 * (x[2] - 10.0 * turn), 10.0 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1.0), x[2]])


def _powell_singular(x, m):
    return np.array(
        [
            x[0] + 10.0 * x[1],
            np.sqrt(5.0) * (x[2] - x[3]),
            (x[1] - 2.0 * x[2]) ** 2,
            np.sqrt(10.0) * (x[0] - x[3]) ** 2,
        ]
    )


def _freudenstein_roth(x, m):
    return np.array(
        [
            -13.0 + x[0] + ((5.0 - x[1]) * x[1] - 2.0) * x[1],
            -29.0 + x[0] + ((1.0 + x[1]) * x[1] - 14.0) * x[1],
        ]
    )


_BARD = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.1, 4.39])


def _bard(x, m):
    u = np.arange(1.0, 16.0)
    v = 16.0 - u
    return _BARD - (x[0] + u / (x[1] * v + x[2] * np.minimum(u, v)))


_KOWALIK = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
_KOWALIK_T = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def _kowalik_osborne(x, m):
    u = _KOWALIK_T
    return _KOWALIK - x[0] * (u * (u + x[1])) / (u * (u + x[2]) + x[3])


_MEYER = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872],
    float,
)


def _meyer(x, m):
    t = 45.0 + 5.0 * np.arange(1.0, 17.0)
    return x[0] * np.exp(x[1] / (t + x[2])) - _MEYER


def _watson(x, m):
    n = len(x)
    t = np.arange(1.0, 30.0)[:, None] / 29.0
    j = np.arange(n)
    value = np.dot(t**j, x)
    slope = np.dot(j[1:] * t ** (j[1:] - 1.0), x[1:])
    return np.concatenate([slope - value**2 - 1.0, np.array([x[0], x[1] - x[0] ** 2 - 1.0])])


def _box3d(x, m):
    t = 0.1 * np.arange(1.0, m + 1.0)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) + (np.exp(-10.0 * t) - np.exp(-t)) * x[2]


def _jennrich_sampson(x, m):
    i = np.arange(1.0, m + 1.0)
    return 2.0 + 2.0 * i - np.exp(i * x[0]) - np.exp(i * x[1])


def _brown_dennis(x, m):
    t = np.arange(1.0, m + 1.0) / 5.0
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + np.sin(t) * x[3] - np.cos(t)) ** 2


def _chebyquad(x, m):
    n = len(x)
    y = 2.0 * x - 1.0
    before, now, values = np.ones(n), y, []
    for i in range(1, m + 1):
        mean = np.sum(now) / n
        values.append(mean + 1.0 / (i * i - 1.0) if i % 2 == 0 else mean)
        before, now = now, 2.0 * y * now - before
    return np.array(values)


def _brown_almost_linear(x, m):
    n = len(x)
    return np.concatenate([x[:-1] + np.sum(x) - (n + 1.0), np.array([np.prod(x) - 1.0])])


_OSBORNE_1 = 1e-3 * np.array(
    [
        *(844, 908, 932, 936, 925, 908, 881, 850, 818, 784, 751, 718, 685, 658, 628, 603, 580),
        *(558, 538, 522, 506, 490, 478, 467, 457, 448, 438, 431, 424, 420, 414, 411, 406),
    ]
)


def _osborne_1(x, m):
    t = 10.0 * np.arange(33.0)
    return _OSBORNE_1 - (x[0] + x[1] * np.exp(-x[3] * t) + x[2] * np.exp(-x[4] * t))


_OSBORNE_2 = 1e-3 * np.array(
    [
        *(
            1366,
            1191,
            1112,
            1013,
            991,
            885,
            831,
            847,
            786,
            725,
            746,
            679,
            608,
            655,
            616,
            606,
            602,
            626,
            651,
            724,
            649,
        ),
        *(
            649,
            694,
            644,
            624,
            661,
            612,
            558,
            533,
            495,
            500,
            423,
            395,
            375,
            372,
            391,
            396,
            405,
            428,
            429,
            523,
            562,
        ),
        *(
            607,
            653,
            672,
            708,
            633,
            668,
            645,
            632,
            591,
            559,
            597,
            625,
            739,
            710,
            729,
            720,
            636,
            581,
            428,
            292,
            162,
        ),
        *(98, 54),
    ]
)


def _osborne_2(x, m):
    t = np.arange(65.0) / 10.0
    return _OSBORNE_2 - (
        x[0] * np.exp(-t * x[4])
        + x[1] * np.exp(-x[5] * (t - x[8]) ** 2)
        + x[2] * np.exp(-x[6] * (t - x[9]) ** 2)
        + x[3] * np.exp(-x[7] * (t - x[10]) ** 2)
    )


def _bdqrtic(x, m):
    n = len(x)
    k = n - 4
    first = -4.0 * x[:k] + 3.0
    second = (
        x[:k] ** 2
        + 2.0 * x[1 : k + 1] ** 2
        + 3.0 * x[2 : k + 2] ** 2
        + 4.0 * x[3 : k + 3] ** 2
        + 5.0 * x[n - 1] ** 2
    )
    return np.concatenate([first, second])


def _cube(x, m):
    return np.concatenate([x[:1] - 1.0, 10.0 * (x[1:] - x[:-1] ** 3)])


def _mancino(x, m):
    n = len(x)
    i, j = np.arange(1.0, n + 1.0)[:, None], np.arange(1.0, n + 1.0)[None, :]
    v = np.sqrt(x[:, None] ** 2 + i / j)
    logs = np.log(v)
    return (
        1400.0 * x
        + (np.arange(1.0, n + 1.0) - 50.0) ** 3
        + np.sum(v * (np.sin(logs) ** 5 + np.cos(logs) ** 5), axis=1)
    )


def _mancino_start(n):
    i, j = np.arange(1.0, n + 1.0)[:, None], np.arange(1.0, n + 1.0)[None, :]
    logs = np.log(np.sqrt(i / j))
    sums = np.sum(np.sqrt(i / j) * (np.sin(logs) ** 5 + np.cos(logs) ** 5), axis=1)
    return -8.710996e-4 * ((np.arange(1.0, n + 1.0) - 50.0) ** 3 + sums)


def _heart(x, m):
    a, b, c, d, t, u, v, w = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
    return np.array(
        [
            a + b + 0.69,
            c + d + 0.044,
            t * a + u * b - v * c - w * d + 1.57,
            v * a + w * b + t * c + u * d + 1.31,
            a * (t**2 - v**2) - 2.0 * c * t * v + b * (u**2 - w**2) - 2.0 * d * u * w + 2.65,
            c * (t**2 - v**2) + 2.0 * a * t * v + d * (u**2 - w**2) + 2.0 * b * u * w - 2.0,
            a * t * (t**2 - 3.0 * v**2)
            + c * v * (v**2 - 3.0 * t**2)
            + b * u * (u**2 - 3.0 * w**2)
            + d * w * (w**2 - 3.0 * u**2)
            + 12.6,
            c * t * (t**2 - 3.0 * v**2)
            - a * v * (v**2 - 3.0 * t**2)
            + d * u * (u**2 - 3.0 * w**2)
            - b * w * (w**2 - 3.0 * u**2)
            - 9.48,
        ]
    )


def _constant(value):
    return lambda n: np.full(n, value)


def _given(*values):
    return lambda n: np.array(values)


class Function(NamedTuple):
    """A function x, m -> residuals, and its start for n unknowns."""

    residual: Any
    start: Any


FUNCTIONS = {
    1: Function(_linear, _constant(1.0)),
    2: Function(_linear_rank_1, _constant(1.0)),
    3: Function(_linear_rank_1_zeros, _constant(1.0)),
    4: Function(_rosenbrock, _given(-1.2, 1.0)),
    5: Function(_helical, _given(-1.0, 0.0, 0.0)),
    6: Function(_powell_singular, _given(3.0, -1.0, 0.0, 1.0)),
    7: Function(_freudenstein_roth, _given(0.5, -2.0)),
    8: Function(_bard, _constant(1.0)),
    9: Function(_kowalik_osborne, _given(0.25, 0.39, 0.415, 0.39)),
    10: Function(_meyer, _given(0.02, 4000.0, 250.0)),
    11: Function(_watson, _constant(0.5)),
    12: Function(_box3d, _given(0.0, 10.0, 20.0)),
    13: Function(_jennrich_sampson, _given(0.3, 0.4)),
    14: Function(_brown_dennis, _given(25.0, 5.0, -5.0, -1.0)),
    15: Function(_chebyquad, lambda n: np.arange(1.0, n + 1.0) / (n + 1.0)),
    16: Function(_brown_almost_linear, _constant(0.5)),
    17: Function(_osborne_1, _given(0.5, 1.5, 1.0, 0.01, 0.02)),
    18: Function(_osborne_2, _given(1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5)),
    19: Function(_bdqrtic, _constant(1.0)),
    20: Function(_cube, _constant(0.5)),
    21: Function(_mancino, _mancino_start),
    22: Function(_heart, _given(-0.3, -0.39, 0.3, -0.344, -1.2, 2.69, 1.59, -1.5)),
}

# number of the function, n, m -> powers of ten that the start is multiplied with
ROWS = [
    *[(k, n, m, far) for k, n, m in ((1, 9, 45), (2, 7, 35), (3, 7, 35)) for far in (0, 1)],
    *[
        (k, n, m, far)
        for k, n, m in ((4, 2, 2), (5, 3, 3), (6, 4, 4), (7, 2, 2), (8, 3, 15))
        for far in (0, 1)
    ],
    (9, 4, 11, 0),
    (10, 3, 16, 0),
    *[(11, n, 31, far) for n in (6, 9, 12) for far in (0, 1)],
    (12, 3, 10, 0),
    (13, 2, 10, 0),
    (14, 4, 20, 0),
    (14, 4, 20, 1),
    *[(15, n, n, 0) for n in range(6, 12)],
    (16, 10, 10, 0),
    (17, 5, 33, 0),
    (18, 11, 65, 0),
    (18, 11, 65, 1),
    *[(19, n, 2 * n - 8, 0) for n in (8, 10, 11, 12)],
    *[(20, n, n, 0) for n in (5, 6, 8)],
    *[(21, n, n, far) for n, far in ((5, 0), (5, 1), (8, 0), (10, 0), (12, 0), (12, 1))],
    (22, 8, 8, 0),
    (22, 8, 8, 1),
]

LEAST = {
    (1, 9): 36.0,
    (2, 7): 8.3802817,
    (3, 7): 9.880597,
    (7, 2): 48.984254,
    (8, 3): 0.0082148773,
    (9, 4): 3.075056e-4,
    (10, 3): 87.945855,
    (11, 6): 0.0022876701,
    (11, 9): 1.39976e-6,
    (11, 12): 4.72238e-10,
    (13, 2): 124.36218,
    (14, 4): 85822.202,
    (15, 8): 0.0035168737,
    (15, 10): 0.0065039548,
    (15, 11): 0.0027997616,
    (17, 5): 5.464895e-5,
    (18, 11): 0.040137736,
    (19, 8): 10.238973,
    (19, 10): 18.281162,
    (19, 11): 22.260592,
    (19, 12): 26.272766,
}
"""Least sums of squares that are known, by function and n; 0 for the others. That of function 7 is a local one."""

LOCAL = {(8, 1): 17.428694, (18, 1): 1.7898136}
"""Where the far start of a function leads to a minimum that is not the least: Bard's at infinity, Osborne's second."""


def problem(k: int, n: int, m: int, far: int) -> tuple[Any, Any, float]:
    """Residual, start and least known sum of squares of a row."""
    function = FUNCTIONS[k]
    least = LOCAL.get((k, far), LEAST.get((k, n), 0.0))
    return lambda x: function.residual(x, m), 10.0**far * function.start(n), least
