"""The slope of an error curve: how a Taylor polynomial tells a right derivative from a wrong one.

Along a curve with p(0) = p, the error of a Taylor polynomial of degree n falls as t^(n+1) if its derivatives are
right, so that log(error) over log(t) is a line of slope n + 1, until rounding takes over for small t and higher
terms for large ones. A wrong derivative shows as a smaller slope.

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
DECADES = 1.5  # least length of the line: shorter ones occur by chance among rounding errors
STRAIGHT = 0.1  # largest root mean square deviation from the line, in decades
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


def fit_slope(t: Array, errors: Array, expected: float, noise: float) -> tuple[float, tuple[float, float]]:
    """Find the longest straight piece of the error curve that has the expected slope, or else any slope.

    Parameters
    ----------
    t, errors : arrays of shape (n,)
    expected : float
        Least slope, up to the tolerance 0.1.
    noise : float
        Errors up to here say nothing.

    Returns
    -------
    slope : float
        NaN where all errors are noise.
    window : tuple of float
        First and last t of the piece.
    """
    use = np.flatnonzero((errors > noise) & np.isfinite(errors))
    if len(use) < 4:
        return float("nan"), (float(t[0]), float(t[-1]))
    x, y = np.log10(t[use]), np.log10(errors[use])
    least = max(4, min(len(use), int(DECADES / abs(x[1] - x[0])) + 1))
    pieces = [piece for size in range(least, len(use) + 1) for piece in _pieces(x, y, size)]
    straight = [piece for piece in pieces if piece[1] <= STRAIGHT] or pieces
    right = [piece for piece in straight if piece[0] >= expected - SLOPE_TOL]
    slope, _, first, last = right[-1] if right else max(straight, key=lambda piece: (piece[3] - piece[2], piece[0]))
    return float(slope), (float(t[use[first]]), float(t[use[last]]))


def _pieces(x: Array, y: Array, size: int) -> list[tuple[float, float, int, int]]:
    """(slope, deviation, first, last) of the regression line of every run of ``size`` points."""
    X = np.lib.stride_tricks.sliding_window_view(x, size)
    Y = np.lib.stride_tricks.sliding_window_view(y, size)
    X, Y = X - X.mean(axis=1, keepdims=True), Y - Y.mean(axis=1, keepdims=True)
    slope = (X * Y).sum(axis=1) / (X * X).sum(axis=1)
    deviation = np.sqrt(((Y - slope[:, None] * X) ** 2).mean(axis=1))
    return [(float(s), float(d), i, i + size - 1) for i, (s, d) in enumerate(zip(slope, deviation, strict=True))]


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
    slope, window = fit_slope(t, errors, expected_slope, noise)
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
