"""What can go wrong with a derivative: warnings and errors a user may catch."""

from __future__ import annotations

__all__ = ["CannotDifferentiate", "DerivativeWarning", "LostDerivative", "WrongDerivative"]


class DerivativeWarning(UserWarning):
    """A derivative is obtained in a slower or less accurate way than it could be."""


class CannotDifferentiate(ValueError):
    """A back end cannot differentiate a function; the message says why."""


class WrongDerivative(ValueError):
    """A derivative given by the user does not fit its function.

    Attributes
    ----------
    ratio : float
        Directional derivative of the function, by differences, divided by that of the given derivative; NaN where
        the two are not multiples of each other.
    calls : int
        Calls of the function spent on finding out.
    """

    def __init__(self, message: str, ratio: float = float("nan"), calls: int = 0) -> None:
        super().__init__(message)
        self.ratio = ratio
        self.calls = calls


class LostDerivative(WrongDerivative):
    """A derivative was lost on the way through automatic differentiation."""
