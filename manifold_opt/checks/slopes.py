"""The slope of an error curve: how a Taylor polynomial tells a right derivative from a wrong one.

Along a curve with p(0) = p, the error of a Taylor polynomial of degree n falls as t^(n+1) if its derivatives are
right, so that log(error) over log(t) is a line of slope n + 1, until rounding takes over for small t and higher
terms for large ones. A wrong derivative shows as a smaller slope at the smallest t above rounding.

The idea and the range of t are those of MATLAB Manopt's checkgradient and Manopt.jl's check_gradient; N. Boumal,
An Introduction to Optimization on Smooth Manifolds, Cambridge 2023, sections 4.8 and 6.8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..linalg import Array

__all__ = ["SlopeCheck", "fit_slope", "steps", "taylor_check"]

SLOPE_TOL = 0.1  # Manopt.jl's
NUMBER = 101  # steps, as in Manopt.jl: 12.5 a decade
LENGTH = 13  # points on a line, one decade: shorter lines occur by chance among rounding errors
STRAIGHT = 0.05  # largest root mean square deviation from a line, in decades; among rounding errors it is above 0.3
LEAST = 0.5  # slope of a line, at least: rounding may lie on one of slope zero, derivatives err with slope 1 or more
ROUNDING = 100.0  # errors below this many units of rounding of the largest value are noise


@dataclass(frozen=True, eq=False)
class SlopeCheck:
    """What a check found. True where it passed.

    Attributes
    ----------
    name : str
        What was checked.
    ok : bool
        Whether everything is right.
    slope : float
        Slope of log(error) over log(t) in the window; NaN where the errors are rounding only.
    expected_slope : int
        Slope, at least, of a right derivative.
    exact : bool
        Whether all errors are at rounding level: the function is the polynomial itself.
    t : array of shape (n,)
        Steps along the unit direction.
    errors : array of shape (n,)
        Errors of the polynomial at these steps.
    window : tuple of float
        First and last step of the line that was fitted.
    problems : tuple of str
        What is wrong, one sentence each; empty where ``ok``.
    figures : dict
        Further numbers found, by name, such as the asymmetry of a Hessian.
    """

    name: str
    ok: bool
    slope: float
    expected_slope: int
    exact: bool
    t: Array
    errors: Array
    window: tuple[float, float]
    problems: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        if self.exact:
            line = "exact to rounding"
        else:
            line = f"slope {self.slope:.3f} for t from {self.window[0]:.1e} to {self.window[1]:.1e}"
            line += f" (right: {self.expected_slope})"
        lines = [f"{self.name}: {'ok' if self.ok else 'WRONG'}, {line}"]
        lines += [f"  {name}: {value:.3g}" for name, value in self.figures.items()]
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])

    def plot(self, ax: Any = None) -> Any:
        """Draw the error curve, the line fitted, and the slope it should have.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        matplotlib axes
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure().add_subplot()
        visible = self.errors > 0.0
        ax.loglog(self.t[visible], self.errors[visible], label="error")
        inside = visible & (self.t >= self.window[0]) & (self.t <= self.window[1])
        if inside.any() and not self.exact:
            t = self.t[inside]
            anchor = np.exp(np.mean(np.log(self.errors[inside])) - self.slope * np.mean(np.log(t)))
            ax.loglog(t, anchor * t**self.slope, "--", label=f"slope {self.slope:.2f}")
            right = self.errors[inside][-1] * (t / t[-1]) ** self.expected_slope
            ax.loglog(t, right, ":", label=f"slope {self.expected_slope}")
        ax.set(xlabel="t", ylabel="error", title=f"{self.name}: {'ok' if self.ok else 'wrong'}")
        ax.legend()
        return ax


def steps(scale: float = 1.0, dtype: Any = float) -> Array:
    """Steps from ``scale * sqrt(eps)`` (1e-8 in double precision) to ``scale``, evenly in the logarithm."""
    if not (scale > 0.0 and np.isfinite(scale)):
        raise ValueError(f"`scale`, the longest step, must be a positive number; got {scale!r}.")
    low = np.log10(np.finfo(dtype).eps) / 2.0
    return scale * np.logspace(max(-8.0, np.floor(low)), 0.0, NUMBER)


def fit_slope(t: Array, errors: Array, noise: float) -> tuple[float, tuple[float, float]]:
    """Find the slope of the error curve for small t, where it leaves the rounding errors.

    The lowest power in the error dominates there: a wrong derivative, however small its error, shows at the small end
    and may be hidden by the next power at the large one.

    Parameters
    ----------
    t, errors : arrays of shape (n,)
    noise : float
        Errors up to here say nothing. Where this is too low, rounding gives itself away by not lying on a line.

    Returns
    -------
    slope : float
        NaN where too few errors are above the noise.
    window : tuple of float
        First and last t of the line.
    """
    use = np.flatnonzero((errors > noise) & np.isfinite(errors))
    if len(use) < 4:
        return float("nan"), (float(t[0]), float(t[-1]))
    x, y = np.log10(t[use]), np.log10(errors[use])
    size = min(len(use), LENGTH)
    slope, deviation = _lines(x, y, size)
    straight = np.flatnonzero((deviation <= STRAIGHT) & (slope >= LEAST))
    if not len(straight):
        straight = np.arange(len(slope))
    # a line may begin among the last rounding errors, which flatten it: look half a line ahead
    start = straight[straight <= straight[0] + size // 2]
    first = start[np.argmax(slope[start])]
    last = first + size - 1
    while (
        last + 1 < len(x) and _lines(x[first : last + 2], y[first : last + 2], last + 2 - first)[1][0] <= STRAIGHT / 2
    ):
        last += 1
    best = slope[first]
    return float(best), (float(t[use[first]]), float(t[use[last]]))


def _lines(x: Array, y: Array, size: int) -> tuple[Array, Array]:
    """Slope of, and root mean square deviation from, the regression line of every run of ``size`` points."""
    X = np.lib.stride_tricks.sliding_window_view(x, size)
    Y = np.lib.stride_tricks.sliding_window_view(y, size)
    X, Y = X - X.mean(axis=1, keepdims=True), Y - Y.mean(axis=1, keepdims=True)
    slope = (X * Y).sum(axis=1) / (X * X).sum(axis=1)
    return slope, np.sqrt(((Y - slope[:, None] * X) ** 2).mean(axis=1))


def taylor_check(
    name: str,
    value: Callable[[float], Array],
    polynomial: Callable[[float], Array],
    expected_slope: int,
    t: Array,
    eps: float,
    problems: list[str],
    figures: dict[str, float],
    hint: str,
) -> SlopeCheck:
    """Compare a function of t with its Taylor polynomial by the slope of the error.

    Parameters
    ----------
    name : str
        For the result.
    value, polynomial : callable
        t -> number or vector.
    expected_slope : int
        One more than the degree.
    t : array
        Steps.
    eps : float
        Unit of rounding of the values.
    problems : list of str
        What else is wrong.
    figures : dict
        Further numbers for the result.
    hint : str
        Appended where the slope is wrong.
    """
    problems = list(problems)
    values = [np.array(value(s), dtype=float) for s in t]  # copied: buffers may be reused
    size = max(float(np.max(np.abs(v), initial=0.0)) for v in [*values, np.array(value(0.0))])
    errors = np.array([float(np.linalg.norm(v - polynomial(s))) for v, s in zip(values, t, strict=True)])
    noise = ROUNDING * eps * size
    slope, window = fit_slope(t, errors, noise)
    exact = bool(np.all(errors <= noise))
    right = exact or slope >= expected_slope - SLOPE_TOL
    if np.isnan(slope) and not exact:  # too few errors stand out to tell a slope, so they are no evidence either
        right = bool(np.all(np.isfinite(errors)))
        if not right:
            problems.append("The function is not finite along the curve: give a smaller `scale`.")
    elif not right:
        problems.append(f"The error falls with slope {slope:.2f} instead of {expected_slope}. {hint}")
    ok = right and not problems
    return SlopeCheck(name, ok, slope, expected_slope, exact, t, errors, window, tuple(problems), figures)
