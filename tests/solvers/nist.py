"""The 27 nonlinear regression problems of NIST's Statistical Reference Datasets, certified to 11 digits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import autograd.numpy as np


def _lanczos(b, x):
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _gauss(b, x):
    peaks = b[2] * np.exp(-(((x - b[3]) / b[4]) ** 2)) + b[5] * np.exp(-(((x - b[6]) / b[7]) ** 2))
    return b[0] * np.exp(-b[1] * x) + peaks


def _enso(b, x):
    def wave(c, s, period):
        return c * np.cos(2 * np.pi * x / period) + s * np.sin(2 * np.pi * x / period)

    return b[0] + wave(b[1], b[2], 12.0) + wave(b[4], b[5], b[3]) + wave(b[7], b[8], b[6])


def _cubic_over_cubic(b, x):
    return (b[0] + x * (b[1] + x * (b[2] + x * b[3]))) / (1.0 + x * (b[4] + x * (b[5] + x * b[6])))


MODELS = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1.0 / b[2]),
    "BoxBOD": lambda b, x: b[0] * (1.0 - np.exp(-b[1] * x)),
    "Chwirut1": lambda b, x: np.exp(-b[0] * x) / (b[1] + b[2] * x),
    "Chwirut2": lambda b, x: np.exp(-b[0] * x) / (b[1] + b[2] * x),
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": _enso,
    "Eckerle4": lambda b, x: b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Gauss3": _gauss,
    "Hahn1": _cubic_over_cubic,
    "Kirby2": lambda b, x: (b[0] + x * (b[1] + x * b[2])) / (1.0 + x * (b[3] + x * b[4])),
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Lanczos3": _lanczos,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": lambda b, x: b[0] * (1.0 - np.exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1.0 - (1.0 + b[1] * x / 2.0) ** -2.0),
    "Misra1c": lambda b, x: b[0] * (1.0 - (1.0 + 2.0 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1.0 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * np.exp(-b[2] * x[1]),
    "Rat42": lambda b, x: b[0] / (1.0 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1.0 + np.exp(b[1] - b[2] * x)) ** (1.0 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _cubic_over_cubic,
}


@dataclass
class Problem:
    """One problem: two starts, the certified parameters and sum of squares, and the residual as a function."""

    name: str
    starts: tuple
    certified: np.ndarray
    sum_of_squares: float
    x: np.ndarray
    y: np.ndarray

    def residual(self, b):
        return MODELS[self.name](b, self.x) - self.y


def read(folder, name):
    """Read one problem of the folder ``nist`` of the data."""
    lines = (Path(folder) / "nist" / f"{name}.dat").read_text().splitlines()
    rows = [line.split("=")[1].split() for line in lines if re.match(r"\s*b\d+\s*=\s+\S+\s+\S+\s+\S+\s+\S+\s*$", line)]
    table = np.array(rows, dtype=float)
    total = next(float(line.split(":")[1]) for line in lines if line.startswith("Residual Sum of Squares"))
    first = max(i for i, line in enumerate(lines) if line.startswith("Data:")) + 1
    data = np.array([line.split() for line in lines[first:] if line.strip()], dtype=float).T
    y, x = data[0], data[1] if len(data) == 2 else data[1:]
    return Problem(name, (table[:, 0], table[:, 1]), table[:, 2], total, x, np.log(y) if name == "Nelson" else y)


def digits(found, certified):
    """Correct digits of the worst parameter, at most the 11 that are certified."""
    error = np.max(np.abs(found - certified) / np.abs(certified))
    return 11.0 if error == 0.0 else float(np.clip(-np.log10(error), 0.0, 11.0))
