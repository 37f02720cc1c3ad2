r"""Robust losses: the cost 1/2 sum_b c^2 rho(|r_b|^2 / c^2) instead of 1/2 sum_b |r_b|^2.

rho grows like the identity near 0 and slower far out, so that outliers pull less; c is the size of a residual up to
which it counts in full (SciPy's ``f_scale``). Every loss is a frozen value whose ``rho(s)`` returns rho(s), rho'(s)
and rho''(s) at s = |r_b|^2 / c^2 for an array of s.

References
----------
.. [1] B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, Bundle adjustment: a modern synthesis, 1999, section 4.3.
.. [2] Z. Zhang, Parameter estimation techniques, Image and Vision Computing 15 (1997), section 7 (table of losses).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

Values = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Loss:
    """Base of all losses.

    Parameters
    ----------
    scale : float
        c: residuals up to about this size count in full; in the unit of the residuals.
    """

    _: KW_ONLY
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.scale < math.inf:
            raise ValueError(
                f"`scale`, the size of a residual that counts in full, must be positive; got {self.scale!r}."
            )

    def rho(self, s: Any) -> Values:
        """rho, rho' and rho'' at s >= 0, for c = 1."""
        raise NotImplementedError(f"{type(self).__name__} does not say what rho is.")

    def evaluate(self, z: Any) -> Values:
        """Loss c^2 rho(z / c^2) of squared residuals z, with its first and second derivative by z."""
        c2 = self.scale * self.scale
        value, first, second = self.rho(z / c2)
        return c2 * value, first, second / c2


@dataclass(frozen=True)
class LinearLoss(Loss):
    """rho(s) = s: plain least squares."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        return s, np.ones_like(s), np.zeros_like(s)


@dataclass(frozen=True)
class Huber(Loss):
    """rho(s) = s up to 1, then 2 sqrt(s) - 1: absolute values far out; convex."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        far = s > 1.0
        t = np.where(far, s, 1.0)
        root = np.sqrt(t)
        return np.where(far, 2.0 * root - 1.0, s), 1.0 / root, np.where(far, -0.5 / (t * root), 0.0)


@dataclass(frozen=True)
class SoftL1(Loss):
    """rho(s) = 2 (sqrt(1 + s) - 1): a smooth Huber; convex."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        t = 1.0 + s
        root = np.sqrt(t)
        return 2.0 * s / (1.0 + root), 1.0 / root, -0.5 / (t * root)


@dataclass(frozen=True)
class Cauchy(Loss):
    """rho(s) = log(1 + s)."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        t = 1.0 / (1.0 + s)
        return np.log1p(s), t, -t * t


@dataclass(frozen=True)
class Arctan(Loss):
    """rho(s) = arctan(s): bounded."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        t = 1.0 / (1.0 + s * s)
        return np.arctan(s), t, -2.0 * s * t * t


@dataclass(frozen=True)
class Tukey(Loss):
    """rho(s) = (1 - (1 - s)^3) / 3 up to 1, then 1/3: outliers do not count at all."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        s = np.minimum(s, 1.0)
        u = 1.0 - s
        return s * (1.0 - s + s * s / 3.0), u * u, -2.0 * u


@dataclass(frozen=True)
class Welsch(Loss):
    """rho(s) = 1 - exp(-s)."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        t = np.exp(-s)
        return -np.expm1(-s), t, -t


@dataclass(frozen=True)
class GemanMcClure(Loss):
    """rho(s) = s / (1 + s)."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        t = 1.0 / (1.0 + s)
        return s * t, t * t, -2.0 * t**3


@dataclass(frozen=True)
class Truncated(Loss):
    """rho(s) = min(s, 1): least squares over the inliers, a fixed price for an outlier."""

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        return np.minimum(s, 1.0), np.where(s < 1.0, 1.0, 0.0), np.zeros_like(s)


@dataclass(frozen=True)
class Tolerant(Loss):
    """Nothing below about a, then linear in s: rho(s) = b log(1 + exp((s - a) / b)) - b log(1 + exp(-a / b)).

    Parameters
    ----------
    a : float
        Squared size (in units of c^2) up to which a residual costs next to nothing, at least 0.
    b : float
        Width of the transition, positive.
    """

    a: float = 1.0
    b: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.a < math.inf or not 0.0 < self.b < math.inf:
            raise ValueError(f"Tolerant needs a >= 0 and b > 0, both finite; got a={self.a!r}, b={self.b!r}.")

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        a, b = self.a, self.b
        x = (s - a) / b
        # logistic function and its complement, each without overflow
        small = np.exp(-np.abs(x))
        up = np.where(x >= 0.0, 1.0, small) / (1.0 + small)
        down = np.where(x >= 0.0, small, 1.0) / (1.0 + small)
        return b * (np.logaddexp(0.0, x) - np.logaddexp(0.0, -a / b)), up, up * down / b


@dataclass(frozen=True)
class ScaledLoss(Loss):
    """Another loss times a positive factor.

    Parameters
    ----------
    loss : Loss
    factor : float
    """

    loss: Loss = LinearLoss()  # frozen
    factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_loss(self.loss)
        if not 0.0 < self.factor < math.inf:
            raise ValueError(f"`factor` must be positive and finite; got {self.factor!r}.")

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        value, first, second = self.loss.evaluate(s)
        return self.factor * value, self.factor * first, self.factor * second


@dataclass(frozen=True)
class ComposedLoss(Loss):
    """outer(inner(s)).

    Parameters
    ----------
    outer, inner : Loss
    """

    outer: Loss = LinearLoss()  # frozen
    inner: Loss = LinearLoss()  # frozen

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_loss(self.outer)
        _check_loss(self.inner)

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        g, dg, d2g = self.inner.evaluate(s)
        f, df, d2f = self.outer.evaluate(g)
        return f, df * dg, d2f * dg * dg + df * d2g


@dataclass(frozen=True)
class UserLoss(Loss):
    """A loss given as a function, in SciPy's convention.

    Parameters
    ----------
    function : callable
        ``function(s)`` returns rho, rho' and rho'' at the array s, as three arrays or one of shape ``(3, *s.shape)``.
    """

    function: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise TypeError(f"`function` must be a function s -> (rho, rho', rho''); got {self.function!r}.")

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        values = self.function(s)  # type: ignore[misc]  # checked above
        if len(values) != 3 or any(np.shape(v) != np.shape(s) for v in values):
            raise ValueError(
                f"a loss function must return rho, rho' and rho'', each of the shape {np.shape(s)} of its argument; it "
                f"returned shapes {[np.shape(v) for v in values]}."
            )
        return tuple(np.asarray(v, dtype=float) for v in values)  # type: ignore[return-value]  # three of them


LOSSES: dict[str, type[Loss]] = {
    "linear": LinearLoss,
    "huber": Huber,
    "soft_l1": SoftL1,
    "cauchy": Cauchy,
    "arctan": Arctan,
    "tukey": Tukey,
    "welsch": Welsch,
    "geman_mcclure": GemanMcClure,
    "truncated": Truncated,
    "tolerant": Tolerant,
}
"""Names of the losses that need no parameters, as in SciPy where SciPy has them."""


def as_loss(loss: Any, scale: float | None = None) -> Loss | None:
    """A loss from its name, a function, a `Loss`, or None.

    Parameters
    ----------
    loss : str, Loss, callable or None
    scale : float, optional
        c, for a name or a function.

    Raises
    ------
    ValueError
        On an unknown name (naming the known ones), or a scale given together with a `Loss` that has its own.
    TypeError
        When it is none of these.
    """
    if loss is None or isinstance(loss, LinearLoss) or loss == "linear":
        return None
    if isinstance(loss, Loss):
        if scale is not None:
            raise ValueError(f"{loss!r} has its own scale: write {type(loss).__name__}(scale={scale!r}).")
        return loss
    keywords = {} if scale is None else {"scale": float(scale)}
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(
                f"`loss` must be one of {', '.join(map(repr, LOSSES))}, a Loss or a function; got {loss!r}."
            )
        return LOSSES[loss](**keywords)
    if callable(loss):
        return UserLoss(loss, **keywords)
    raise TypeError(f"`loss` must be a name, a Loss or a function s -> (rho, rho', rho''); got {loss!r}.")


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Loss):
        raise TypeError(f"a loss is made of losses such as Huber(); got {loss!r}.")
