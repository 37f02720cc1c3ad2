"""Which step size a line search tries first.

A quasi-Newton direction comes with its own first trial, t = 1; for all others a guess is made from the last step.

References
----------
.. [1] J. Barzilai and J. Borwein, IMA J. Numer. Anal. 8 (1988), 141-148.
.. [2] W. Hager and H. Zhang, Algorithm 851: CG_DESCENT, ACM Trans. Math. Softw. 32 (2006), 113-137, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import check_positive


def carried(state: Any, p: Any, X: Any, q: Any) -> Any:
    """X transported from p to q, once: a search, the next guess and the next direction all ask for it."""
    kept = state.carried
    if kept is not None and kept[1] is q and kept[0] is X:
        return kept[2]
    Y = state.transport(p, X, q)
    state.carried = (X, q, Y)
    return Y


class InitialGuess:
    """Base of all initial guesses: frozen values, bound at run time."""

    __slots__ = ()

    def bind(self) -> BoundGuess:
        """Run-time object with the memory of the guess."""
        raise NotImplementedError


class BoundGuess:
    """Run-time side of an initial guess; ``last`` is what it keeps of the last accepted step."""

    __slots__ = ("last", "rule")

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        self.last: Any = None

    def first(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> float | None:
        """First trial along X, or None to use the ``initial`` of the search."""
        raise NotImplementedError

    def keep(self, point: Any, X: Any, slope: float, length: float, t: float) -> None:
        """Take note of an accepted step: where it started, and t."""


@dataclass(frozen=True)
class ConstantGuess(InitialGuess):
    """The same first trial in every iteration.

    Parameters
    ----------
    value : float, optional
        Default the ``initial`` of the search.
    """

    value: float | None = None

    def __post_init__(self) -> None:
        if self.value is not None:
            check_positive("value", self.value)

    def bind(self) -> BoundGuess:
        """Run-time object without memory."""
        return _BoundConstant(self)


class _BoundConstant(BoundGuess):
    __slots__ = ()

    def first(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> float | None:
        return self.rule.value


@dataclass(frozen=True)
class LastStepGuess(InitialGuess):
    """A multiple of the last accepted step size.

    Parameters
    ----------
    factor : float
        Default 2: a search that only contracts must be able to grow.
    """

    factor: float = 2.0

    def __post_init__(self) -> None:
        check_positive("factor", self.factor)

    def bind(self) -> BoundGuess:
        """Run-time object; its memory is the last step size."""
        return _BoundLast(self)


class _BoundLast(BoundGuess):
    __slots__ = ()

    def first(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> float | None:
        return None if self.last is None else self.rule.factor * self.last

    def keep(self, point: Any, X: Any, slope: float, length: float, t: float) -> None:
        self.last = t


@dataclass(frozen=True)
class BarzilaiBorweinGuess(InitialGuess):
    """The minimizer of a quadratic with the curvature seen along the last step.

    With the last step S and the change Y of the gradient along it, the curvature is <S, Y> / <S, S>, and the trial
    -slope / (curvature |X|^2). Along minus the gradient that is the step of Barzilai and Borwein. Where the curvature
    was not positive, twice the last step.
    """

    def bind(self) -> BoundGuess:
        """Run-time object; its memory is the last step."""
        return _BoundBarzilaiBorwein(self)


class _BoundBarzilaiBorwein(BoundGuess):
    __slots__ = ()

    def first(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> float | None:
        if self.last is None:
            return None
        start, X_last, slope_last, length_last, t = self.last
        e = state.evaluation
        p = e.point
        change = problem.manifold.inner(p, e.gradient, carried(state, start, X_last, p)) - slope_last
        if change <= 0.0:
            return 2.0 * t
        step = t * length_last * length_last / change * (-slope / (length * length))
        return step if 0.0 < step < 1e300 else 2.0 * t

    def keep(self, point: Any, X: Any, slope: float, length: float, t: float) -> None:
        self.last = (point, X, slope, length, t)


@dataclass(frozen=True)
class HagerZhangGuess(InitialGuess):
    r"""The initial guess of CG_DESCENT.

    In the first iteration psi_0 |f| / |grad f|^2 (a norm of the point, which the original takes first, means nothing
    on a manifold). Later, when the quadratic through f(0), its slope and f(psi_1 t_last) is convex and f decreases
    there, its minimizer; else psi_2 t_last.

    Parameters
    ----------
    psi0, psi1, psi2 : float
        Constants of the reference.
    quadstep : bool
        Whether to try the quadratic, which takes one cost.

    References
    ----------
    .. [1] W. Hager and H. Zhang, ACM Trans. Math. Softw. 32 (2006), 113-137, section 4, I0 to I2.
    """

    psi0: float = 0.01
    psi1: float = 0.01
    psi2: float = 2.0
    quadstep: bool = True

    def __post_init__(self) -> None:
        for name in ("psi0", "psi1", "psi2"):
            check_positive(name, getattr(self, name))

    def bind(self) -> BoundGuess:
        """Run-time object; its memory is the last step size."""
        return _BoundHagerZhang(self)


class _BoundHagerZhang(BoundGuess):
    __slots__ = ()

    def first(self, problem: Any, state: Any, X: Any, slope: float, length: float) -> float | None:
        rule, e = self.rule, state.evaluation
        f, norm = abs(e.cost), e.gradient_norm
        if self.last is None:
            return rule.psi0 * f / (norm * norm) if f > 0.0 else None
        t = rule.psi1 * self.last
        # Below the rounding of the cost there is no curvature to see.
        if rule.quadstep and -t * slope > 100.0 * state.eps * f:
            trial = problem.evaluate(state.retract(e.point, X, t), state.evaluations).cost
            bend = (trial - e.cost - t * slope) / (t * t)
            if trial <= e.cost and bend > 0.0:
                return -0.5 * slope / bend
        return rule.psi2 * self.last

    def keep(self, point: Any, X: Any, slope: float, length: float, t: float) -> None:
        self.last = t


NAMED: dict[str, InitialGuess] = {
    "barzilai-borwein": BarzilaiBorweinGuess(),
    "hager-zhang": HagerZhangGuess(),
    "last": LastStepGuess(),
    "constant": ConstantGuess(),
}


def initial_guess(value: Any) -> InitialGuess:
    """The initial guess that a user named or gave.

    Raises
    ------
    ValueError
        On an unknown name or something else.
    """
    if isinstance(value, InitialGuess):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    choices = ", ".join(map(repr, NAMED))
    raise ValueError(f"`initial_guess` must be one of {choices} or a rule like LastStepGuess(1.5); got {value!r}.")
