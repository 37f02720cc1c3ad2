r"""A cost that is a mean over samples, f(p) = (1/N) sum_i f_i(p), and its value and gradient on some of them.

An evaluation belongs to a point and a batch. That of the point alone is the one on all samples; nobody asks for it but
those who watch, variance reduction, and the result.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np

from .base import OBJECTIVE_TYPES, Objective, check_choice
from .cost import CostEvaluation, CostFunctions
from .evaluation import Counts
from .user_functions import FreshArrays


@dataclass(frozen=True, eq=False)
class StochasticObjective(Objective):
    """A cost that is a mean over samples.

    Parameters
    ----------
    cost : callable
        ``f(p, batch) -> float``, the *mean* over the samples of the batch (so that steps do not depend on its size).
    data : array, tuple of arrays, int, or iterable
        Arrays of the same length N along the first axis: a batch is the rows chosen, a tuple of them for a tuple. For
        a number N a batch is an array of indices. Anything else that can be iterated, a generator or a data loader,
        gives batches as they are; it is started again when it ends, if that is possible.
    gradient : callable, optional
        ``gradient(p, batch)``, of the mean. Default: by differentiation of the cost.
    reference : optional
        For an iterable: the batch on which the cost of the result is reported. Default: the first one it gives.
    objective_type : {"riemannian", "euclidean"}
        What a given gradient is.
    autodiff : str
        Source of a missing gradient, see `CostObjective`.

    Raises
    ------
    TypeError
        When the data are none of these.
    ValueError
        When there are no samples, or arrays of different lengths.
    """

    cost: Callable[..., Any]
    data: Any
    gradient: Callable[..., Any] | None = None
    _: KW_ONLY
    reference: Any = None
    objective_type: str = "riemannian"
    autodiff: str = "auto"

    def __post_init__(self) -> None:
        for name in ("cost", "gradient"):
            value = getattr(self, name)
            if not callable(value) and not (name == "gradient" and value is None):
                raise TypeError(f"`{name}` must be a function of a point and a batch; got {value!r}.")
        check_choice("objective_type", self.objective_type, OBJECTIVE_TYPES)
        if isinstance(self.data, list):
            object.__setattr__(self, "data", np.asarray(self.data))
        n = self.number
        if n is None:
            if not isinstance(self.data, Iterable):
                raise TypeError(
                    f"`data` must be an array, a tuple of arrays, a number or an iterable; got {self.data!r}."
                )
        elif n < 1:
            raise ValueError("`data` has no samples.")

    @property
    def number(self) -> int | None:
        """Number N of samples; None for an iterable, which does not tell."""
        if isinstance(self.data, tuple):
            lengths = {len(a) for a in self.data}
            if len(lengths) != 1:
                raise ValueError(f"the arrays of `data` must have the same length; got {[len(a) for a in self.data]}.")
            return lengths.pop()
        if isinstance(self.data, bool):
            return None
        try:
            return operator.index(self.data)
        except TypeError:
            return len(self.data) if hasattr(self.data, "shape") else None

    def batch(self, indices: Any) -> Any:
        """The samples of these indices."""
        if isinstance(self.data, tuple):
            return tuple(a[indices] for a in self.data)
        return self.data[indices] if hasattr(self.data, "shape") else indices

    def bind(self, M: Any, p: Any, counts: Counts) -> StochasticFunctions:
        """Functions on M; derivatives are resolved on one sample."""
        return StochasticFunctions(self, M, p, counts)


class StochasticFunctions:
    """Run-time side of a `StochasticObjective` on one manifold.

    Attributes
    ----------
    objective : StochasticObjective
    manifold : Manifold
    number : int or None
        Number of samples, where known.
    """

    def __init__(self, objective: StochasticObjective, M: Any, p: Any, counts: Counts) -> None:
        self.objective, self.manifold, self.number = objective, M, objective.number
        self._euclidean = objective.objective_type == "euclidean"
        shape = tuple(M.embedding_shape if self._euclidean else M.vector_shape)
        self._arrays = FreshArrays(objective.gradient or objective.cost, "gradient", shape, dtype=p.dtype)
        self._stream: Any = None
        self._first: list[Any] = []
        if self.number is not None:
            self._everything = objective.batch(np.arange(self.number))
            trial = objective.batch(np.arange(1))
        else:
            trial = self.next_batch()
            self._first.append(trial)
            self._everything = trial if objective.reference is None else objective.reference
        f, self._backend = objective.cost, None
        if objective.gradient is None:
            self._backend = _backend(objective, f, M, p, trial, counts)
        everything = self._functions(self._everything)
        self.fill_cost, self.fill_gradient = everything.fill_cost, everything.fill_gradient
        self.counted, self.hessian_operator = everything.counted, everything.hessian_operator

    def next_batch(self) -> Any:
        """The next batch of an iterable.

        Raises
        ------
        ValueError
            When it has ended and cannot be started again.
        """
        if self._first:
            return self._first.pop()
        if self._stream is not None:
            for batch in self._stream:
                return batch
        data = self.objective.data
        if self._stream is not data:
            self._stream = iter(data)
            for batch in self._stream:
                return batch
        raise ValueError("`data` gives no more batches; give an iterable that starts again, or one without end.")

    def evaluation(self, p: Any, counts: Counts) -> CostEvaluation:
        """Lazy evaluation on all samples (of an iterable: on the reference batch)."""
        return CostEvaluation(self, p, counts)  # type: ignore[arg-type]  # it has all that an evaluation needs

    def on(self, p: Any, batch: Any, counts: Counts) -> CostEvaluation:
        """Lazy evaluation on one batch."""
        return CostEvaluation(self._functions(batch), p, counts)

    def sample(self, p: Any, indices: Any, counts: Counts) -> CostEvaluation:
        """Lazy evaluation on the samples of these indices."""
        return self.on(p, self.objective.batch(indices), counts)

    def _given(self, p: Any, batch: Any) -> tuple[None, Any, Any]:
        """The user's gradient on a batch, checked and converted."""
        G = self._arrays.checked(self.objective.gradient(p, batch))  # type: ignore[misc]  # there is one
        if p.dtype.char in "fF":
            G = G.astype(p.dtype, copy=False)
        return (None, self.manifold.riemannian_gradient(p, G), G) if self._euclidean else (None, G, None)

    def _functions(self, batch: Any) -> CostFunctions:
        o, M = self.objective, self.manifold
        f = lambda p: o.cost(p, batch)
        if self._backend is None:
            return CostFunctions(M, lambda p: float(f(p)), lambda p: self._given(p, batch), _none, given_gradient=True)
        costs = self._backend.cost_per_gradient(M)
        if costs:
            gradient = self._backend.gradient(f, M)
            return CostFunctions(
                M, lambda p: float(f(p)), lambda p: (None, gradient(p), None), _none, (("gradient", 1), ("cost", costs))
            )
        both = self._backend.value_and_gradient(f, M)
        return CostFunctions(M, lambda p: float(f(p)), lambda p: (*both(p), None), _none)


def _none(e: CostEvaluation) -> Any:
    raise TypeError("a stochastic objective has no Hessian; minimize its mean as a CostObjective.")


def _backend(o: StochasticObjective, f: Any, M: Any, p: Any, trial: Any, counts: Counts) -> Any:
    """What differentiates the cost; checked by one difference on one sample."""
    from ..autodiff import check_cost_gradient, choose_backend

    def tried(q: Any) -> Any:
        counts["check"] += 1
        return f(q, trial)

    backend: Any = choose_backend(o.autodiff, tried, p)
    if getattr(backend, "jit", False):
        backend = replace(backend, jit=False)  # each batch would be compiled anew
    if not backend.cost_per_gradient(M):
        gradient = backend.value_and_gradient(lambda q: f(q, trial), M)
        counts["check"] += check_cost_gradient(lambda q: float(f(q, trial)), lambda q: gradient(q)[1], M, p)
    return backend
