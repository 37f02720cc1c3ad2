"""A thousand small fits in a batch beside loops over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import optimize

from manifold_opt import Euclidean, Nielsen, levenberg_marquardt

from .harness import Table, best_in_turns

FITS, ALONE = 1000, 100


def tables() -> Iterator[Table]:
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, 1.0, 20)
    truth = np.stack([rng.uniform(1.0, 3.0, FITS), rng.uniform(-4.0, -1.0, FITS)], axis=1)

    def model(p: Any) -> Any:
        return p[..., :1] * np.exp(p[..., 1:] * t)

    def slopes(p: Any) -> Any:
        e = np.exp(p[..., 1:] * t)
        return np.stack([e, p[..., :1] * t * e], axis=-1)

    y = model(truth) + 0.02 * rng.standard_normal((FITS, len(t)))
    M, start = Euclidean(2), np.array([1.0, 0.0])
    starts = np.tile(start, (FITS, 1))

    def batch() -> Any:
        return levenberg_marquardt(M, lambda p: model(p) - y, starts, jacobian=slopes, batched=True)

    def one_by_one() -> Any:
        for k in range(ALONE):
            levenberg_marquardt(M, lambda p: model(p) - y[k], start, jacobian=slopes, damping=Nielsen())  # noqa: B023

    def scipy(method: str, given: bool = True) -> Any:
        def loop() -> None:
            for k in range(ALONE):
                jacobian = slopes if given else "2-point"
                optimize.least_squares(lambda p: model(p) - y[k], start, jac=jacobian, method=method)  # noqa: B023

        return loop

    calls = {
        "levenberg_marquardt, batched": batch,
        "levenberg_marquardt, one by one": one_by_one,
        "SciPy least_squares lm": scipy("lm"),
        "SciPy least_squares trf": scipy("trf"),
        "SciPy least_squares trf, without Jacobian": scipy("trf", given=False),
    }
    seconds = best_in_turns(calls, 3.0, turns=5)
    per_fit = {name: s / (FITS if name.endswith("batched") else ALONE) for name, s in seconds.items()}
    reference = per_fit["levenberg_marquardt, batched"]
    yield Table(
        "A thousand small fits",
        f"Exponential decays with 2 parameters and {len(t)} values each, the Jacobian given: microseconds per fit, and "
        "how many times those of the batch that is.",
        ["", "us per fit", "times the batch"],
        [[name, 1e6 * s, s / reference] for name, s in per_fit.items()],
    )


if __name__ == "__main__":
    for table in tables():
        print(table.markdown())
