"""What a user hands over as a function: markers for its calling convention, and guards around its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..linalg.low_rank import is_operator

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

    function: Function | Fused

    def __post_init__(self) -> None:
        if not isinstance(self.function, Fused):
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
        # float() would read a string, and drop an imaginary part with a warning only
        if isinstance(value, complex | str | bytes) or getattr(getattr(value, "dtype", None), "kind", "f") in "cOUSmM":
            raise TypeError
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
        Of the points: where they are real, what comes back must be real.
    operators : bool
        Whether sparse matrices, linear operators and `LowRank` matrices are taken as they are.
    """

    __slots__ = ("_first", "_last", "_point", "function", "inplace", "kinds", "name", "operators", "shape")

    def __init__(
        self,
        function: Function,
        name: str,
        shape: tuple[int, ...] | None,
        inplace: bool = False,
        dtype: Any = float,
        operators: bool = False,
    ) -> None:
        self.operators = operators
        self.function, self.name, self.shape, self.inplace = function, name, shape, inplace
        self.kinds = "fc" if np.dtype(dtype).kind == "c" else "f"
        self._last: Any = None
        self._first: Any = None
        self._point: Any = None

    def __call__(self, p: Any) -> Any:
        """The function's array at p, checked."""
        if self.inplace:
            return self.filled(p)[1]
        value = self.checked(self.function(p), p)
        if type(value) is not np.ndarray:
            return value
        # a point in single precision stays one, whatever precision the user's data have
        return value.astype(p.dtype, copy=False) if p.dtype.char in "fF" else value

    def filled(self, p: Any) -> tuple[Any, Any]:
        """What an in-place function returns, and the buffer that it filled."""
        if self._first is not None:
            value = np.empty(self.shape or (), dtype=p.dtype)
            return self.function(p, value), value
        value = self._first = unwritten(self.shape or (), p.dtype)
        returned = self.function(p, value)
        check_written(value, self.name)
        return returned, value

    def checked(self, value: Any, p: Any = None) -> Any:
        """Return ``value`` as an array of the required shape that was not handed out before, but for the same p."""
        if type(value) is not np.ndarray or value.shape != self.shape or value.dtype.kind not in self.kinds:
            if self.operators and is_operator(value):
                return self._operator(value)
            value = self._converted(value)
        last = self._last
        if last is None:
            self._first = value.copy()
        elif value is last or (value.base is not None and value.base is last.base):
            self._refuse_reuse(value, last, p)
        self._last, self._point = value, p
        return value

    def _operator(self, value: Any) -> Any:
        """A copy of a matrix that is no array, so that a function may fill the same sparse matrix again and again."""
        if tuple(value.shape) != self.shape:
            raise ValueError(
                f"`{self.name}` must return a matrix of shape {self.shape}; it returned {_describe(value)}."
            )
        if value.dtype is not None and value.dtype.kind == "c" and "c" not in self.kinds:
            raise TypeError(f"`{self.name}` must be real; it returned {_describe(value)} of complex numbers.")
        return value.copy() if hasattr(value, "copy") else value

    def _converted(self, value: Any) -> Any:
        if is_operator(value):
            raise TypeError(
                f"`{self.name}` must return an array; it returned {_describe(value)}. Sparse matrices and operators "
                "are Euclidean derivatives on manifolds of low rank, with objective_type='euclidean'; elsewhere take "
                "`.toarray()`."
            )
        try:
            array = np.asarray(value)
        except ValueError:  # parts of different shapes
            raise TypeError(
                f"`{self.name}` must return one array; it returned a {type(value).__name__} of {len(value)} parts. Put "
                "them together: M.join_embedding(...) for Euclidean parts, M.join_vector(...) for tangent ones."
            ) from None
        if array.dtype == object or array.dtype.kind not in "fciub":
            raise TypeError(f"`{self.name}` must return numbers; it returned {_describe(value)}.")
        if array.dtype.kind in "iub":
            array = array.astype(float)
        if array.dtype.kind not in self.kinds:
            raise TypeError(
                f"`{self.name}` must be real; it returned {_describe(value)} of complex numbers. Take the real part, "
                "or return real and imaginary parts one after the other."
            )
        if self.shape is None:
            self.shape = array.shape
        elif array.shape != self.shape:
            raise ValueError(
                f"`{self.name}` must return an array of shape {self.shape}; it returned shape {array.shape}."
            )
        return array

    def _refuse_reuse(self, value: Any, last: Any, p: Any) -> None:
        if not np.shares_memory(value, last) or np.array_equal(value, self._first, equal_nan=True):
            return
        if p is not None and self._point is not None and np.array_equal(p, self._point):
            return  # a function that remembers its last value
        raise ValueError(
            f"`{self.name}` returned memory that it returned before, with new values: earlier results, which the "
            f"solver still uses, have changed. Return a new array (`.copy()`), or write into the buffer that the "
            f"solver offers: wrap the function as InPlace(f) and let it fill f(p, out)."
        )


def unwritten(shape: tuple[int, ...], dtype: Any) -> Any:
    """A buffer in which `check_written` sees what a function has left untouched."""
    return np.full(shape, _unlikely(dtype), dtype)


def check_written(array: Any, name: str) -> None:
    """Raise ValueError when a function left entries of an `unwritten` buffer as they were."""
    missing = np.argwhere(array == _unlikely(array.dtype))
    if len(missing):
        raise ValueError(
            f"`{name}` is InPlace, but did not write {len(missing)} of the {array.size} entries of its buffer, the "
            f"first at {tuple(missing[0].tolist())}: it must fill all of `out` in f(p, out). What it returns is "
            "ignored, and the buffer is not zero at first."
        )


def _unlikely(dtype: Any) -> Any:
    """A number near the smallest of its dtype, which no function returns by chance."""
    return np.dtype(dtype).type(1.37) * np.finfo(dtype).tiny


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {tuple(shape)}" if shape is not None else f"{kind}: {value!r}"[:80]


def handing_out(function: Callable[[Any], Any], p: Any, value: Any) -> Callable[[Any], Any]:
    """``function``, known to have this value at p, which it gives back once instead of computing it again."""
    kept = [(p.copy(), value)]

    def handed(q: Any) -> Any:
        if kept:
            at, known = kept.pop()
            if q.shape == at.shape and (q == at).all():
                return known
        return function(q)

    return handed
