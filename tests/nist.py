"""The nonlinear problems of NIST's Statistical Reference Datasets: models, and a reader of the files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import autograd.numpy as np

FOLDER = os.environ.get("MANIFOLD_OPT_DATA")


def _exponentials(b, x):
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _gauss(b, x):
    return (
        b[0] * np.exp(-b[1] * x)
        + b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
        + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    )


def _rational(b, x):
    return (b[0] + x * (b[1] + x * (b[2] + x * b[3]))) / (1.0 + x * (b[4] + x * (b[5] + x * b[6])))


def _enso(b, x):
    def wave(period, cosine, sine):
        return cosine * np.cos(2.0 * np.pi * x / period) + sine * np.sin(2.0 * np.pi * x / period)

    return b[0] + wave(12.0, b[1], b[2]) + wave(b[3], b[4], b[5]) + wave(b[6], b[7], b[8])


MODELS: dict[str, Any] = {
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
    "Hahn1": _rational,
    "Kirby2": lambda b, x: (b[0] + x * (b[1] + x * b[2])) / (1.0 + x * (b[3] + x * b[4])),
    "Lanczos1": _exponentials,
    "Lanczos2": _exponentials,
    "Lanczos3": _exponentials,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": lambda b, x: b[0] * (1.0 - np.exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1.0 - (1.0 + b[1] * x / 2.0) ** -2),
    "Misra1c": lambda b, x: b[0] * (1.0 - (1.0 + 2.0 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1.0 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[:, 0] * np.exp(-b[2] * x[:, 1]),
    "Rat42": lambda b, x: b[0] / (1.0 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1.0 + np.exp(b[1] - b[2] * x)) ** (1.0 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _rational,
}


@dataclass
class NistProblem:
    """One problem: data, two starts, certified answers."""

    name: str
    x: Any
    y: Any
    starts: Any
    parameters: Any
    errors: Any
    sum_of_squares: float
    sigma: float
    freedom: int

    def model(self, x, *b):
        return MODELS[self.name](b, x)

    def residual(self, b):
        return MODELS[self.name](b, self.x) - self.y


def read(name: str) -> NistProblem:
    """The problem of this name from the files."""
    text = (Path(FOLDER) / "nist" / f"{name}.dat").read_text(encoding="utf-8")
    rows = np.array([row for row in re.findall(r"^ *b\d+ *=(.*)$", text, re.MULTILINE) if len(row.split()) == 4])
    table = np.array([[float(number) for number in row.split()] for row in rows])

    def value(label: str) -> float:
        return float(re.search(rf"{label}:\s*(\S+)", text)[1])

    lines = text[text.rindex("Data:") :].splitlines()[1:]
    data = np.array([[float(number) for number in line.split()] for line in lines if line.strip()])
    y, x = data[:, 0], data[:, 1] if data.shape[1] == 2 else data[:, 1:]
    return NistProblem(
        name,
        x,
        np.log(y) if name == "Nelson" else y,
        table[:, :2].T,
        table[:, 2],
        table[:, 3],
        value("Residual Sum of Squares"),
        value("Residual Standard Deviation"),
        int(value("Degrees of Freedom")),
    )
