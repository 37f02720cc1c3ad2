"""Rules of a debug list that look at every iteration and speak only when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from .lines import Action, EntryChange, Values


class SolverWarning(UserWarning):
    """Something a solver's user should look at; issued by the ``WarnIf...`` rules of a debug list."""


def _check_how(rule: Any) -> None:
    if rule.how not in ("once", "always"):
        raise ValueError(f'`how` of {type(rule).__name__} must be "once" or "always"; got {rule.how!r}.')


@dataclass(frozen=True)
class Watch(Action):
    """Base of the rules that look at every iteration and speak only when something is wrong.

    Parameters
    ----------
    how : {"once", "always"}
        Whether to speak the first time only (default) or every time.
    """

    _: KW_ONLY
    how: str = "once"

    def __post_init__(self) -> None:
        _check_how(self)

    def text(self, values: Values) -> str | None:
        """What is wrong now, or None."""
        raise NotImplementedError


def _finite(value: Any) -> bool:
    return value is None or bool(np.all(np.isfinite(value)))


@dataclass(frozen=True)
class WarnIfFieldNotFinite(Watch):
    """Warn when a quantity has an entry that is NaN or infinite.

    Parameters
    ----------
    field : str
    """

    field: str

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return (self.field,)

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        value = values[self.field]
        if _finite(value):
            return None
        shown = f": {value}" if np.ndim(value) == 0 else ""
        return f"`{self.field}` is not finite at iteration {values.state.iteration}{shown}."


@dataclass(frozen=True)
class WarnIfCostNotFinite(WarnIfFieldNotFinite):
    """Warn when the cost is NaN or infinite."""

    field: str = "cost"


@dataclass(frozen=True)
class WarnIfGradientNotFinite(WarnIfFieldNotFinite):
    """Warn when the gradient has an entry that is NaN or infinite."""

    field: str = "gradient"


@dataclass(frozen=True)
class WarnIfFieldIncreases(Watch):
    """Warn when a quantity grew in an iteration.

    Parameters
    ----------
    field : str
    tolerance : float
        By more than this. Default 0.
    """

    field: str
    tolerance: float = 0.0

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return (EntryChange(self.field, _increase),)

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        increase = values[self.sources[0]]
        if not increase > self.tolerance:
            return None
        return f"`{self.field}` increased by {increase:.4g} in iteration {values.state.iteration}."


def _increase(problem: Any, state: Any, old: Any, new: Any) -> float:
    return float(np.max(np.subtract(new, old)))


@dataclass(frozen=True)
class WarnIfCostIncreases(WarnIfFieldIncreases):
    """Warn when the cost grew in an iteration.

    Parameters
    ----------
    tolerance : float
        By more than this. Default 1e-13, for rounding.
    """

    field: str = "cost"
    tolerance: float = 1e-13


@dataclass(frozen=True)
class WarnIfGradientNormTooLarge(Watch):
    """Warn when the gradient is longer than the injectivity radius, so that a unit step may wrap around.

    Parameters
    ----------
    factor : float
        Times the injectivity radius at the point. Default 1.
    """

    factor: float = 1.0

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return ("gradient_norm",)

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        norm, M = values["gradient_norm"], values.problem.manifold
        radius = float(M.injectivity_radius_at(values.state.evaluation.point))
        if not norm > self.factor * radius or radius == 0.0:
            return None
        return (
            f"the gradient norm {norm:.4g} at iteration {values.state.iteration} is more than {self.factor:g} times "
            f"the injectivity radius {radius:.4g}: consider smaller steps."
        )


@dataclass(frozen=True)
class WarnIfStepsizeCollapsed(Watch):
    """Warn when the step size is tiny.

    Parameters
    ----------
    threshold : float
        Default 1e-8.
    """

    threshold: float = 1e-8

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return ("stepsize",)

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        t = values["stepsize"]
        if not t <= self.threshold:
            return None
        return f"the step size is {t:.4g} at iteration {values.state.iteration}, at most {self.threshold:g}."


@dataclass(frozen=True)
class WarnMessages(Watch):
    """Pass on the warnings of the solver and of its parts (``state.messages()``), each text once or every time."""

    how: str = "always"

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        messages = values.state.messages()
        return "; ".join(messages) if messages else None


def _positive(value: Any) -> bool:
    return bool(np.all(np.greater(value, 0)))


@dataclass(frozen=True)
class IfEntry(Watch):
    """Speak when a quantity fails a test.

    Parameters
    ----------
    field : str
        Name of a quantity or of a field of the state.
    check : callable
        ``check(value) -> bool``, what should hold. Default: the value is positive.
    message : str
        With ``{value}``, ``{field}`` and ``{iteration}``.
    action : {"warn", "print", "raise"}
        What to do with the message; ``"raise"`` ends the run with a `RuntimeError`.
    """

    field: str
    check: Callable[[Any], bool] = _positive
    message: str = "`{field}` is {value} at iteration {iteration}."
    action: str = "warn"
    _: KW_ONLY
    how: str = "always"

    def __post_init__(self) -> None:
        _check_how(self)
        if self.action not in ("warn", "print", "raise"):
            raise ValueError(f'`action` of IfEntry must be "warn", "print" or "raise"; got {self.action!r}.')

    @property
    def sources(self) -> tuple[Any, ...]:
        """See `Action.sources`."""
        return (self.field,)

    def text(self, values: Values) -> str | None:
        """See `Action.text`."""
        value = values[self.field]
        if self.check(value):
            return None
        return self.message.format(field=self.field, value=value, iteration=values.state.iteration)
