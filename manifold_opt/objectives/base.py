"""What every objective is: an immutable description that binds itself to a manifold at the first point."""

from __future__ import annotations

from typing import Any, Protocol

from .evaluation import Counts, Evaluation


class Functions(Protocol):
    """Run-time side of an objective on one manifold: derivatives resolved, conventions removed."""

    def evaluation(self, p: Any, counts: Counts) -> Evaluation:
        """Lazy evaluation at p that books its calls in ``counts``."""


class Objective:
    """Base of all objectives. Immutable; the same one may serve any number of problems at once."""

    __slots__ = ()

    def bind(self, M: Any, p: Any, counts: Counts) -> Any:
        """Resolve derivatives at the first point ``p`` of manifold ``M``; calls made for that are counted."""
        raise NotImplementedError


OBJECTIVE_TYPES = ("riemannian", "euclidean")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``, naming the nearest."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}; got {value!r}.")
