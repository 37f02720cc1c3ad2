"""A solver that goes where it is told, to test what watches it and what ends it."""

from __future__ import annotations

import numpy as np

from manifold_opt import CostObjective, Euclidean, Problem, SolverState, StopAfterIteration


class ScriptedState(SolverState):
    """Visits given points; None is a rejected step."""

    def __init__(self, points, *, stepsizes=None, damping=1.0, stopping=None):
        super().__init__(points[0], stopping=stopping)
        self.script = points
        self.stepsizes = stepsizes
        self.damping = damping

    @classmethod
    def default_stopping(cls):
        return StopAfterIteration(100)

    def advance(self, problem):
        k = self.iteration + 1
        p = self.script[k]
        self.damping = self.damping / 2 if p is not None else self.damping * 4
        if p is not None:
            before = self.evaluation.point
            self.accept(problem.evaluate(np.array(p, dtype=float), self.evaluations))
            self.stepsize = self.stepsizes[k] if self.stepsizes else 1.0
            self.step_norm = float(np.linalg.norm(self.evaluation.point - before))


def quadratic(n=2):
    """Half the squared norm on R^n: the gradient is the point."""
    return Problem(Euclidean(n), CostObjective(lambda p: 0.5 * float(p @ p), lambda p: p.copy()))


def line(*xs):
    """Points (x, 0); None stays None."""
    return [None if x is None else [float(x), 0.0] for x in xs]


def stops_at(rule, points, problem=None, **keywords):
    """Iteration at which a rule ends a script, and the state; None if it never does."""
    problem = quadratic(len(points[0])) if problem is None else problem
    state = ScriptedState(points, stopping=rule, **keywords)
    state.begin(problem)
    while not state.should_stop(problem):
        if state.iteration == len(points) - 1:
            return None, state
        state.step(problem)
    return state.iteration, state
