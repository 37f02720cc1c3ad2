"""Delicate scalar functions: quotients that are 0/0 or cancel at the origin.

Each works elementwise on numbers and on arrays of any library. Below a threshold a Taylor polynomial replaces
the quotient, and the quotient is then evaluated at a harmless argument (the "double where"), so values and
derivatives of every order are finite and accurate everywhere. Where the quotient itself has no cancellation,
NumPy arrays and floats use it down to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import factorial
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace

# Taylor coefficients in powers of t^2. Ten terms at |t| < 1 leave 1/21! = 2e-20; the inverse functions
# converge geometrically and use |x| < 1/8, where ten terms leave (1/64)^10 = 1e-18.
_SINC = [(-1) ** k / factorial(2 * k + 1) for k in range(10)]
_SINC_SLOPE = [(-1) ** (k + 1) * 2 * (k + 1) / factorial(2 * k + 3) for k in range(10)]
_COSC = [(-1) ** k / factorial(2 * k + 2) for k in range(10)]
_TSINC = [(-1) ** k / factorial(2 * k + 3) for k in range(10)]
_TSINC_SLOPE = [(-1) ** (k + 1) * 2 * (k + 1) / factorial(2 * k + 5) for k in range(10)]
_SINHC = [1 / factorial(2 * k + 1) for k in range(10)]
_COSHC = [1 / factorial(2 * k + 2) for k in range(10)]
# (1 - (t/2) cot(t/2)) / t^2 has the coefficients |B_2k| / (2k)!, radius 2 pi (Abramowitz & Stegun 4.3.70, table 23.2)
_BERNOULLI = [1 / 6, 1 / 30, 1 / 42, 1 / 30, 5 / 66, 691 / 2730, 7 / 6, 3617 / 510, 43867 / 798, 174611 / 330]
_COTC = [b / factorial(2 * k + 2) for k, b in enumerate(_BERNOULLI)]
# 2 zeta(2k) / (2 pi)^2k, the same numbers (Abramowitz & Stegun 23.2.16); at abs(t) < 2 twenty terms leave (1/pi)^40
_COTC_SLOPE = [
    4 * (k - 1) * sum(n ** (-2.0 * k) for n in range(30, 0, -1)) / (2 * math.pi) ** (2 * k) for k in range(11, 22)
]
_COTC_SLOPE = [2 * (k + 1) * c for k, c in enumerate(_COTC[1:])] + _COTC_SLOPE
_ATANHC = [1 / (2 * k + 1) for k in range(10)]
_ATANC = [(-1) ** k / (2 * k + 1) for k in range(10)]
_ASINC = [math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(10)]
# in powers of x itself
_EXPM1C = [1 / factorial(k + 1) for k in range(19)]
_LOG1PC = [(-1) ** k / (k + 1) for k in range(19)]


def sinc(t: Array) -> Array:
    """Return sin(t) / t for t in radians, 1 at zero."""
    return _quotient(t, _SINC, 1.0, math.sin, "sin")


def cosc(t: Array) -> Array:
    """Return (1 - cos t) / t^2 = sinc(t/2)^2 / 2, 1/2 at zero."""
    half = sinc(t * 0.5)
    return 0.5 * half * half


def tsinc(t: Array) -> Array:
    """Return (t - sin t) / t^3, 1/6 at zero."""
    return _blend(t, _TSINC, 1.0, lambda xp, x: (x - xp.sin(x)) / (x * x * x))


def cotc(t: Array) -> Array:
    """Return (1 - (t/2) cot(t/2)) / t^2 for abs(t) < 2 pi, 1/12 at zero, 1/pi^2 at pi."""
    return _blend(t, _COTC, 1.0, lambda xp, x: (1.0 - 0.5 * x / xp.tan(0.5 * x)) / (x * x))


def cotc_slope(t: Array) -> Array:
    """Return the derivative of cotc divided by t for abs(t) < 2 pi, 1/360 at zero.

    From the derivative of cot: ``(1/(4 sin^2(t/2)) - cot(t/2)/(2 t))/t^2 - 2 cotc(t)/t^2``.
    """
    return _blend(t, _COTC_SLOPE, 2.0, _cotc_slope)


def _cotc_slope(xp: Any, t: Array) -> Array:
    s, c = xp.sin(0.5 * t), xp.cos(0.5 * t)
    square, cot = t * t, c / s
    return ((0.25 / (s * s) + 0.5 * cot / t) - 2.0 / square) / square


def sinc_slope(t: Array) -> Array:
    """Return the derivative of sinc divided by t: (t cos t - sin t) / t^3, -1/3 at zero."""
    return _blend(t, _SINC_SLOPE, 1.0, lambda xp, x: (x * xp.cos(x) - xp.sin(x)) / (x * x * x))


def tsinc_slope(t: Array) -> Array:
    """Return the derivative of tsinc divided by t: (t (1 - cos t) - 3 (t - sin t)) / t^5, -1/60 at zero."""
    # ten terms at abs(t) < 2 leave 22 * 2^20 / 25! = 1.5e-18; beyond, the difference loses one digit
    return _blend(
        t,
        _TSINC_SLOPE,
        2.0,
        lambda xp, x: (x * (1.0 - xp.cos(x)) - 3.0 * (x - xp.sin(x))) / (x * x * x * x * x),
    )


def sinhc(t: Array) -> Array:
    """Return sinh(t) / t, 1 at zero."""
    return _quotient(t, _SINHC, 1.0, math.sinh, "sinh")


def coshc(t: Array) -> Array:
    """Return (cosh t - 1) / t^2 = sinhc(t/2)^2 / 2, 1/2 at zero."""
    half = sinhc(t * 0.5)
    return 0.5 * half * half


def atanhc(x: Array) -> Array:
    """Return artanh(x) / x for abs(x) < 1, 1 at zero."""
    return _quotient(x, _ATANHC, 0.125, math.atanh, "arctanh")


def atanc(x: Array) -> Array:
    """Return arctan(x) / x, 1 at zero."""
    return _quotient(x, _ATANC, 0.125, math.atan, "arctan")


def asinc(x: Array) -> Array:
    """Return arcsin(x) / x for abs(x) <= 1, 1 at zero."""
    return _quotient(x, _ASINC, 0.125, math.asin, "arcsin")


def expm1c(x: Array) -> Array:
    """Return (exp(x) - 1) / x, 1 at zero."""
    return _quotient(x, _EXPM1C, 0.5, math.expm1, "expm1", even=False)


def log1pc(x: Array) -> Array:
    """Return log(1 + x) / x for x > -1, 1 at zero."""
    return _quotient(x, _LOG1PC, 0.125, math.log1p, "log1p", even=False)


def safe_divide(x: Array, y: Array, otherwise: Any = 0.0) -> Array:
    """Return x / y, and ``otherwise`` where y is exactly zero, with finite derivatives there."""
    xp = namespace(x, y)
    zero = y == 0
    return xp.where(zero, otherwise, x / xp.where(zero, xp.ones_like(y), y))


def safe_sqrt(x: Array) -> Array:
    """Return the square root of the positive part of x, with derivative zero where x is not positive."""
    xp = namespace(x)
    if xp is np:
        # under NumPy 1 a float32 scalar that meets a Python number turns double
        return np.sqrt(np.maximum(x, x.dtype.type(0) if hasattr(x, "dtype") else 0.0))
    positive = x > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, xp.ones_like(x))), xp.zeros_like(x))


def angle_between(x: Array, y: Array) -> Array:
    """Return the angle between vectors along the last axis, in radians between 0 and pi.

    The half-angle form 2 atan2(||y| x - |x| y|, ||y| x + |x| y|) keeps full relative accuracy from 0 to pi,
    where the arc cosine of the inner product loses half of the digits.

    References
    ----------
    W. Kahan, How futile are mindless assessments of roundoff in floating-point computation?, 2006, section
    12.
    """
    xp = namespace(x, y)
    a = safe_sqrt(xp.sum(y * y, axis=-1))[..., None] * x
    b = safe_sqrt(xp.sum(x * x, axis=-1))[..., None] * y
    difference, total = a - b, a + b
    return 2.0 * xp.arctan2(
        safe_sqrt(xp.sum(difference * difference, axis=-1)), safe_sqrt(xp.sum(total * total, axis=-1))
    )


def horner(coefficients: Sequence[float], s: Array) -> Array:
    """Evaluate the polynomial with these coefficients, constant first, at s."""
    value = coefficients[-1] + 0.0 * s
    for c in reversed(coefficients[:-1]):
        value = value * s + c
    return value


def _quotient(
    t: Array,
    series: Sequence[float],
    limit: float,
    scalar: Callable[[float], float],
    name: str,
    even: bool = True,
) -> Array:
    """f(t) / t for a library function f accurate near zero: the quotient is too, its derivatives are not."""
    if type(t) is float:
        return scalar(t) / t if t else 1.0
    if type(t) is np.ndarray:
        zero = t == 0
        safe = np.where(zero, t.dtype.type(0.5), t) if zero.any() else t
        value = getattr(np, name)(safe) / safe
        return np.where(zero, t.dtype.type(1), value) if safe is not t else value
    return _blend(t, series, limit, lambda xp, x: getattr(xp, name)(x) / x, even)


def _blend(
    t: Array, series: Sequence[float], limit: float, direct: Callable[[Any, Array], Array], even: bool = True
) -> Array:
    """The Taylor polynomial where abs(t) < limit, else the direct formula; each sees arguments that suit it."""
    if isinstance(t, float):
        if abs(t) < limit:
            return float(horner(series, t * t if even else t))
        return float(direct(math, t))
    xp = namespace(t)
    small = abs(t) < limit
    one = xp.ones_like(t)
    inside = xp.where(small, t, 0.0 * one)
    value = horner(series, inside * inside if even else inside)
    return xp.where(small, value, direct(xp, xp.where(small, limit * one, t)))
