"""The keywords that all front functions share, handled once.

A front function of a solver is: build the objective and the state from its own keywords, and call `run` with the rest.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import IO, Any, TypedDict

import numpy as np

from ..objectives.base import Objective
from ..objectives.batched import BatchedCostObjective, BatchedLeastSquaresObjective
from ..objectives.blocks import BlockObjective, is_blocks
from ..objectives.cost import CostObjective
from ..objectives.least_squares import NonlinearLeastSquaresObjective
from ..objectives.user_functions import Fused
from ..objectives.wrappers import CachedObjective
from .problem import Problem
from .result import Result
from .solve import solve
from .state import as_stopping
from .status import Status


class Common(TypedDict, total=False):
    """Keywords of every front function.

    Attributes
    ----------
    stopping : StoppingCriterion
        Replaces the default criterion; the next four edit it.
    max_iterations, max_evaluations : int
        Limits; ``max_evaluations`` counts calls of the cost (or residual).
    max_time : float
        Limit in seconds.
    tolerance : float
        Of the criterion that means convergence.
    debug : str, int, callable or list of these
        What to print, see the page on watching.
    record : list of str
        What to store per iteration in ``result.record``.
    callback : callable
        ``callback(problem, state)``, called after each iteration; returning True stops the run.
    checkpoint : path
        File to which the state is saved, and from which a run that was killed continues.
    progress : bool
        Show a progress bar on a terminal.
    file : file object
        Where debug output goes; default standard output.
    cache : bool or int
        Remember function values at this many last points (True: 10).
    rng : seed or numpy.random.Generator
        Source of all random numbers.
    out : array
        Receives the final point; may be ``p0``.
    """

    stopping: Any
    max_iterations: int
    max_evaluations: int
    max_time: float
    tolerance: float
    debug: Any
    record: Any
    callback: Callable[[Any, Any], Any]
    checkpoint: Any
    progress: bool
    file: IO[str]
    cache: bool | int
    rng: Any
    out: Any


COMMON = frozenset(Common.__annotations__)
_EDITS = ("max_iterations", "max_evaluations", "max_time", "tolerance")
_WATCHING = ("debug", "record", "callback", "checkpoint", "progress", "file")

_nested: ContextVar[bool] = ContextVar("manifold_opt_nested", default=False)


def run(
    solver: Callable[..., Any],
    M: Any,
    objective: Objective,
    p0: Any,
    build: Callable[[Any], Any],
    common: Common,
    batched: bool = False,
) -> Result:
    """Solve a problem for a front function.

    Parameters
    ----------
    solver : callable
        The front function, for messages about its keywords.
    M : Manifold
    objective : Objective
    p0 : array or None
        Start point; None draws a random one.
    build : callable
        ``build(p0) -> state``.
    common : dict
        The keywords that the front function did not name itself, see `Common`.
    batched : bool
        Whether p0 has leading axes.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        On an unknown keyword, naming the nearest known one.
    ValueError
        When p0 is not a point of M, or a keyword's value makes no sense.
    """
    check_keywords(solver, common)
    cache = common.get("cache", False)
    if cache and batched:
        raise ValueError("`cache` is for single points, not for a batch.")
    if cache:
        objective = CachedObjective(objective, 10 if cache is True else cache)
    out = common.get("out")
    p0 = start_point(M, p0, common.get("rng"), batched)
    _check_out(out, p0)
    problem = Problem(M, objective)
    state = build(p0)
    edits = {name: common[name] for name in _EDITS if common.get(name) is not None}  # type: ignore[literal-required]
    if common.get("stopping") is not None:
        if edits:
            raise ValueError(f"give either `stopping` or {', '.join(edits)}: `stopping` replaces the whole criterion.")
        state.stopping = as_stopping(common["stopping"])
    elif edits:
        state.stopping = _edited(state.stopping, edits)
    watching = {name: common[name] for name in _WATCHING if common.get(name)}  # type: ignore[literal-required]
    if watching:
        from ..decorators import decorate

        state = decorate(state, problem, **watching)
    result = _solved(problem, state)
    if out is not None:
        np.copyto(out, result.point)
        result.point = out
    return result


def _edited(criterion: Any, edits: dict[str, Any]) -> Any:
    """The criterion with other numbers; what is wrong with one is said of its keyword."""
    from ..stopping import edit

    for name, value in edits.items():
        try:
            criterion = edit(criterion, **{name: value})
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}={value!r}: {error}") from None
    return criterion


def _solved(problem: Problem, state: Any) -> Result:
    """Solve; Ctrl-C ends the outermost run with what it has, an inner one passes it on."""
    if _nested.get():
        return Result.of(problem, solve(problem, state))
    token = _nested.set(True)
    try:
        return Result.of(problem, solve(problem, state))  # which may evaluate a last cost
    except KeyboardInterrupt:
        state.fail(Status.INTERRUPTED, "interrupted from the keyboard; this is the best point so far.")
        state.should_stop(problem)  # what wraps the state prints, records and saves its end
        return Result.of(problem, state)
    finally:
        _nested.reset(token)


def check_keywords(solver: Callable[..., Any], common: Common) -> None:
    """Raise TypeError on a keyword that neither the solver nor `Common` knows."""
    unknown = set(common) - COMMON
    if not unknown:
        return
    own = [p.name for p in inspect.signature(solver).parameters.values() if p.kind is p.KEYWORD_ONLY]
    known = sorted({*own, *COMMON})
    name = min(unknown)
    begun = [other for other in known if other.startswith(name)]  # max_iter
    close = begun or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known ones are {', '.join(known)}."
    raise TypeError(f"{solver.__name__}() got an unknown keyword {name!r}; {hint}")


def start_point(M: Any, p0: Any, rng: Any = None, batched: bool = False) -> Any:
    """Checked start point: an array of floats on M, or a random one for None; with leading axes for a batch."""
    if p0 is None:
        if batched:
            raise ValueError(f"a batch needs its starts `p0`, of shape (*batch, {', '.join(map(str, M.point_shape))}).")
        return M.random_point(np.random.default_rng(rng))
    p = np.asarray(p0)
    if p.dtype.kind in "iub":
        p = p.astype(float)
    if p.dtype.kind not in "fc":
        raise TypeError(f"`p0` must be an array of numbers; got {type(p0).__name__} with dtype {p.dtype}.")
    k = len(M.point_shape)
    if (p.shape[max(p.ndim - k, 0) :] if batched and p.ndim > k else p.shape) != tuple(M.point_shape):
        raise ValueError(f"`p0` must have the shape of a point of {M}, {tuple(M.point_shape)}; got {p.shape}.")
    try:
        M.check_point(p)
    except ValueError as error:
        raise type(error)(f"`p0` is not a point of {M}: {error}") from None
    return p


def _check_out(out: Any, p0: Any) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray) or out.shape != p0.shape or not np.can_cast(p0.dtype, out.dtype, "same_kind"):
        raise ValueError(
            f"`out` must be an array of shape {p0.shape} that holds {p0.dtype}; got "
            f"{getattr(out, 'shape', type(out).__name__)} {getattr(out, 'dtype', '')}."
        )


def cost_objective(f: Any, **keywords: Any) -> Objective:
    """The objective of a front function: ``f`` itself when it is one, else a `CostObjective` of it."""
    return _objective(CostObjective, "f", f, keywords)


def batched_cost_objective(
    f: Any, gradient: Any = None, objective_type: str = "riemannian", autodiff: str = "auto"
) -> Objective:
    """The objective of a batch: ``f`` itself when it is one, else a `BatchedCostObjective` of it."""
    if isinstance(f, Objective):
        return _objective(BatchedCostObjective, "f", f, {"gradient": gradient, "autodiff": autodiff})
    if isinstance(f, Fused):
        function: Any = f.function
        return BatchedCostObjective(function, objective_type=objective_type)
    return BatchedCostObjective(
        f, gradient, objective_type=objective_type, autodiff=autodiff if gradient is None else None
    )


def least_squares_objective(residual: Any, **keywords: Any) -> Objective:
    """The same for a residual and a `NonlinearLeastSquaresObjective`."""
    if is_blocks(residual):
        residual = BlockObjective(residual, autodiff=keywords.pop("autodiff", "auto"))
    return _objective(NonlinearLeastSquaresObjective, "residual", residual, keywords)


def batched_least_squares_objective(residual: Any, keywords: dict[str, Any], others: dict[str, Any]) -> Objective:
    """The objective of a batch of fits; ``others`` are keywords that batches do not have.

    Raises
    ------
    ValueError
        When one of the others is given.
    """
    given = [name for name, value in others.items() if value is not None and value != 1]
    if given:
        raise ValueError(f"a batch of fits takes no {', '.join(given)}.")
    return _objective(BatchedLeastSquaresObjective, "residual", residual, keywords)


def _objective(kind: Callable[..., Objective], name: str, f: Any, keywords: dict[str, Any]) -> Objective:
    if not isinstance(f, Objective):
        return kind(f, **keywords)
    defaults = (None, 1, "auto", "riemannian", "coordinates")
    given = [key for key, value in keywords.items() if isinstance(value, np.ndarray) or value not in defaults]
    if given:
        raise ValueError(f"`{name}` is an objective already; give {', '.join(given)} to it, not to the solver.")
    return f
