"""Which back end differentiates a function: one table, and what ``"auto"`` makes of it."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable
from typing import Any

from ..linalg import Array
from .autograd_backend import AutogradBackend
from .backend import Backend
from .complex_step import ComplexStep
from .errors import CannotDifferentiate, DerivativeWarning
from .finite_differences import FiniteDifferences
from .jax_backend import JaxBackend
from .torch_backend import TorchBackend
from .values import as_residuals

__all__ = ["BACKENDS", "choose_backend"]

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (AutogradBackend(), FiniteDifferences(), ComplexStep(), JaxBackend(), TorchBackend())
}
"""The back ends by name."""

_LIBRARIES = {"jax": "jax", "jaxlib": "jax", "torch": "torch"}  # module of what f(p) returns -> back end

# what autograd or NumPy say when something cannot be traced -> what the function does
_REASONS = (
    ("VJP of", "autograd has no derivative rule for something it uses"),
    ("must be a string or a real number", "it converts parts of the point to Python numbers (float, math)"),
    ("must be real number, not", "it converts parts of the point to Python numbers (float, math)"),
    ("setting an array element with a sequence", "it writes parts of the point into a NumPy array"),
    ("does not support item assignment", "it writes into the point, or into something made from it"),
    (
        "loop of ufunc does not support argument",
        "it passes traced numbers through plain NumPy (use autograd.numpy)",
    ),
    ("from dtype('O')", "it passes traced numbers through plain NumPy (use autograd.numpy)"),
    ("returned NotImplemented from __array_ufunc__", "it calls a function that autograd does not know"),
)


def choose_backend(name: str | Backend, f: Callable[[Any], Any], p: Array) -> Backend:
    """Choose what differentiates ``f``, a cost or a residual, by trying it once at ``p``.

    Parameters
    ----------
    name : str or Backend
        ``"autograd"``, ``"finite-differences"``, ``"complex-step"``, ``"jax"``, ``"torch"``, a back end object with
        options of its own, or ``"auto"``: JAX or PyTorch where f(p) returns their arrays, else autograd; where f
        runs but cannot be traced, finite differences with a warning.
    f : callable
        Function of a point.
    p : array
        Point as the solvers hold it, of NumPy.

    Returns
    -------
    Backend

    Raises
    ------
    ValueError
        When the name is unknown, or the back end named fails on ``f`` (`CannotDifferentiate`).
    ImportError
        When the library of the back end is not installed; the message names the extra that brings it.

    Warns
    -----
    DerivativeWarning
        When ``"auto"`` falls back on finite differences; it says why.

    Notes
    -----
    ``"auto"`` calls f once inside a trace, and once more only where that fails. An exception that f raises of its
    own is passed on.
    """
    if isinstance(name, Backend):
        return name.probe(f, p)
    if name == "auto":
        return _automatic(f, p)
    if name not in BACKENDS:
        known = ["auto", *BACKENDS]
        near = difflib.get_close_matches(str(name), known, 1, 0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"`autodiff` must be one of {', '.join(map(repr, known))}; got {name!r}.{hint}")
    return BACKENDS[name].probe(f, p)


def _automatic(f: Callable[[Any], Any], p: Array) -> Backend:
    autograd = BACKENDS["autograd"]
    try:
        value = AutogradBackend.trace(f, p)
    except Exception as error:  # a function may do anything to a box; what it does to an array decides
        reason: Exception = error
        value = f(p)
    else:
        library = _library(value)
        return autograd if library is None else BACKENDS[library].probe(f, p)
    library = _library(value)
    if library is not None:
        return BACKENDS[library].probe(f, p)
    as_residuals(value)  # raises where the function returns something else than real numbers
    warnings.warn(
        f"derivatives come from finite differences, since autograd cannot trace this function: {_explain(reason)}. "
        "Give the derivative, or autodiff='finite-differences' to accept this.",
        DerivativeWarning,
        stacklevel=4,
    )
    return BACKENDS["finite-differences"]


def _library(value: Any) -> str | None:
    if isinstance(value, list | tuple) and value:
        value = value[0]
    for base in type(value).__mro__:
        library = _LIBRARIES.get(base.__module__.partition(".")[0])
        if library is not None:
            return library
    return None


def _explain(error: BaseException) -> str:
    while isinstance(error, CannotDifferentiate) and error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    meaning = next((meaning for part, meaning in _REASONS if part in text), None)
    detail = f"{type(error).__name__}: {text[:120]}"
    return detail if meaning is None else f"{meaning} ({detail})"
