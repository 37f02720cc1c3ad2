"""Resolving the name or object of a retraction, inverse retraction or transport, once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

__all__ = ["resolve", "unknown_name"]


def unknown_name(kind: str, name: str, known: Iterable[str], owner: str) -> ValueError:
    """The error about a misspelt or missing name, with what is there and the nearest of it."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(map(repr, known)) or "none"
    return ValueError(f"{owner} has no {kind} named {name!r}; it has: {listed}.{hint}")


def resolve(manifold: Any, kind: str, table: dict[str, str], method: Any) -> Callable[..., Any]:
    """The function behind a method of `manifold`.

    Parameters
    ----------
    manifold
        The manifold.
    kind
        ``"retraction"``, ``"inverse retraction"`` or ``"transport"``, for messages.
    table
        Name of the method to name of the attribute of the manifold.
    method
        A name in `table`, or a callable that takes the manifold first.

    Returns
    -------
    callable
        A bound method or a partial: it pickles whenever the method itself does.
    """
    if isinstance(method, str):
        if method not in table:
            raise unknown_name(kind, method, table, repr(manifold))
        function: Callable[..., Any] = getattr(manifold, table[method])
        return function
    if callable(method):
        return partial(method, manifold)
    raise TypeError(
        f"a {kind} is a name ({', '.join(map(repr, sorted(table)))}) or a callable "
        f"that takes the manifold first, but {method!r} was given"
    )
