"""What is known at a point: computed when first asked for, at most once, and counted."""

from __future__ import annotations

from typing import Any, ClassVar


class Counts(dict[str, int]):
    """How often each of the user's functions was called; a name never counted reads as zero."""

    __slots__ = ()

    def __missing__(self, name: str) -> int:
        return 0


class Evaluation:
    """Everything known at one point, which it owns forever.

    Subclasses hold one slot ``_name`` per quantity, None while unknown, and a property ``name`` that fills it.
    ``functions`` is the run-time side of the objective and is not pickled: `attach` brings it back.
    """

    __slots__ = ("counts", "functions", "point")
    quantities: ClassVar[tuple[str, ...]] = ()

    def __init__(self, functions: Any, point: Any, counts: Counts) -> None:
        self.functions = functions
        self.point = point
        self.counts = counts
        for name in self.quantities:
            setattr(self, "_" + name, None)

    def known(self, name: str) -> bool:
        """Whether ``name`` has been computed here already, so that reading it costs nothing."""
        return getattr(self, "_" + name, None) is not None

    def attach(self, functions: Any, counts: Counts) -> None:
        """Give the evaluation its functions and counters again, after it was pickled."""
        self.functions, self.counts = functions, counts

    def __getstate__(self) -> dict[str, Any]:
        values = {name: getattr(self, "_" + name) for name in self.quantities if self.picklable(name)}
        return {"point": self.point, **values}

    def __setstate__(self, values: dict[str, Any]) -> None:
        self.functions, self.counts, self.point = None, Counts(), values["point"]
        for name in self.quantities:
            setattr(self, "_" + name, values.get(name))

    @staticmethod
    def picklable(name: str) -> bool:
        """Whether the quantity is data; a kept differentiation tape is not."""
        return name != "hessian_operator"

    def __repr__(self) -> str:
        known = ", ".join(name for name in self.quantities if self.known(name))
        return f"{type(self).__name__}(point of shape {self.point.shape}, known: {known or 'nothing yet'})"


class _Watched(Counts):
    """Counters that book every call under ``"watched"`` of the real ones."""

    __slots__ = ("counts",)

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts

    def __setitem__(self, name: str, value: int) -> None:
        self.counts["watched"] += value - self[name]


def watched(evaluation: Evaluation, name: str) -> Any:
    """Value of a quantity for someone who only looks: known ones are free, others count under ``"watched"``."""
    if evaluation.known(name):
        return getattr(evaluation, name)
    counts = evaluation.counts
    evaluation.counts = _Watched(counts)
    try:
        return getattr(evaluation, name)
    finally:
        evaluation.counts = counts
