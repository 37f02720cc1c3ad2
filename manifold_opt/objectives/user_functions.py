"""What a user hands over as a function: markers for its calling convention, and guards around its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]


@dataclass(frozen=True)
class InPlace:
    """Marks a function that writes its array into a buffer: called as ``f(p, out)``.

    Parameters
    ----------
    function : callable
        ``function(p, out)`` fills ``out``; what it returns is ignored, except that a `Fused` one returns its
        first value (the cost) and fills ``out`` with the second.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import InPlace
    >>> gradient = InPlace(lambda p, out: np.multiply(2.0, p, out=out))
    """

    function: Function

    def __post_init__(self) -> None:
        _check_callable(self, self.function)


@dataclass(frozen=True)
class Fused:
    """Marks a function that returns two quantities at once, given in place of the first.

    ``Fused(f_and_gradient)`` returns ``(f(p), gradient(p))``; for least squares
    ``Fused(residual_and_jacobian)`` returns ``(residual(p), jacobian(p))``. Nests with `InPlace`:
    ``Fused(InPlace(f))`` is called ``f(p, out)``, fills ``out`` with the gradient and returns the cost
    (least squares: ``f(p, residuals, jacobian)`` fills both).

    Parameters
    ----------
    function : callable or InPlace
        The function that computes both.
    """

    function: Function | InPlace

    def __post_init__(self) -> None:
        if not isinstance(self.function, InPlace):
            _check_callable(self, self.function)


def _check_callable(marker: object, function: object) -> None:
    if not callable(function):
        raise TypeError(
            f"{type(marker).__name__}(...) marks a function; {function!r} is not callable. Give the function itself."
        )


def calling_convention(function: Any, name: str) -> tuple[Function | None, bool, bool]:
    """Split ``function`` into (plain callable, fused?, in place?); ``None`` stays ``None``."""
    fused = inplace = False
    while isinstance(function, Fused | InPlace):
        fused |= isinstance(function, Fused)
        inplace |= isinstance(function, InPlace)
        function = function.function
    if function is not None and not callable(function):
        raise TypeError(f"`{name}` must be a function, got {type(function).__name__}: {function!r}.")
    return function, fused, inplace


def as_float(value: Any, name: str = "f") -> float:
    """Turn what a cost returned into a Python float.

    Raises
    ------
    TypeError
        When the value is not one real number.
    """
    if type(value) is float:
        return value
    try:
        return float(value) if np.ndim(value) == 0 else float(np.asarray(value).item())
    except (TypeError, ValueError):
        raise TypeError(
            f"`{name}` must return one real number; it returned {_describe(value)}. "
            "Sum over what it returns, or use `levenberg_marquardt` for a vector of residuals."
        ) from None


class FreshArrays:
    """Calls a user's array-valued function and sees to it that every result is a new array of the right shape.

    A function that hands out the same memory twice would silently change values that the solver still needs, so
    that is an error; a function that is constant may return one array always.

    Parameters
    ----------
    function : callable
        ``function(p)``, or ``function(p, out)`` when ``inplace``.
    name : str
        The user's name for it, for messages.
    shape : tuple of int or None
        Required shape; None takes that of the first value.
    inplace : bool
        Whether ``function`` writes into a buffer.
    dtype : dtype
        Of the buffers of an in-place function.
    """

    __slots__ = ("_first", "_last", "dtype", "function", "inplace", "name", "shape")

    def __init__(
        self, function: Function, name: str, shape: tuple[int, ...] | None, inplace: bool = False, dtype: Any = float
    ) -> None:
        self.function, self.name, self.shape, self.inplace, self.dtype = function, name, shape, inplace, dtype
        self._last: Any = None
        self._first: Any = None

    def __call__(self, p: Any) -> Any:
        """The function's array at p, checked."""
        if self.inplace:
            value = np.empty(self.shape or (), dtype=self.dtype)
            self.function(p, value)
            return value
        return self.checked(self.function(p))

    def checked(self, value: Any) -> Any:
        """Return ``value`` as an array of the required shape that was not handed out before."""
        if type(value) is not np.ndarray or value.shape != self.shape or value.dtype.kind not in "fc":
            value = self._converted(value)
        last = self._last
        if last is None:
            self._first = value.copy()
        elif value is last or (value.base is not None and value.base is last.base):
            self._refuse_reuse(value, last)
        self._last = value
        return value

    def _converted(self, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype == object or array.dtype.kind not in "fciub":
            raise TypeError(f"`{self.name}` must return numbers; it returned {_describe(value)}.")
        if array.dtype.kind in "iub":
            array = array.astype(float)
        if self.shape is None:
            self.shape = array.shape
        elif array.shape != self.shape:
            raise ValueError(
                f"`{self.name}` must return an array of shape {self.shape}; it returned shape {array.shape}."
            )
        return array

    def _refuse_reuse(self, value: Any, last: Any) -> None:
        if not np.shares_memory(value, last) or np.array_equal(value, self._first, equal_nan=True):
            return
        raise ValueError(
            f"`{self.name}` returned memory that it returned before, with new values: earlier results, which the "
            f"solver still uses, have changed. Return a new array (`.copy()`), or write into the buffer that the "
            f"solver offers: wrap the function as InPlace(f) and let it fill f(p, out)."
        )


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {tuple(shape)}" if shape is not None else f"{kind}: {value!r}"[:80]
