"""Minimizers of polynomials through values and slopes at two points."""

from __future__ import annotations

import math


def cubic_minimizer(a: float, fa: float, da: float, b: float, fb: float, db: float) -> float:
    """Minimizer of the cubic with values fa, fb and slopes da, db at a and b; NaN where it has none.

    Nocedal and Wright (2006), equation (3.59); the division is arranged so that nearly quadratic data lose nothing.
    """
    z = da + db - 3.0 * (fa - fb) / (a - b)
    square = z * z - da * db
    if not 0.0 <= square < math.inf:
        return math.nan
    w = math.copysign(math.sqrt(square), b - a)
    denominator = db - da + 2.0 * w
    return b - (b - a) * (db + w - z) / denominator if denominator != 0.0 else math.nan


def quadratic_minimizer(a: float, fa: float, da: float, b: float, fb: float) -> float:
    """Minimizer of the parabola with value fa and slope da at a, and value fb at b; NaN where it has none."""
    h = b - a
    bend = fb - fa - da * h
    return a - 0.5 * da * h * h / bend if bend > 0.0 else math.nan


def secant(a: float, da: float, b: float, db: float) -> float:
    """Zero of the straight line through two slopes; NaN where they are equal."""
    return (a * db - b * da) / (db - da) if db != da else math.nan


def inside(t: float, a: float, b: float, margin: float) -> float:
    """Point t kept a fraction of |b - a| away from both ends; their middle where t is NaN."""
    low, high = (a, b) if a <= b else (b, a)
    if t != t:
        return 0.5 * (low + high)
    guard = margin * (high - low)
    return min(max(t, low + guard), high - guard)
