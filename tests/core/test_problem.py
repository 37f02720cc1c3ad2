"""A problem is a value: it wraps, evaluates, counts nothing of its own, and pickles without its run-time side."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from manifold_opt.core import Problem
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import CostObjective, Counts


def square(p):
    return float(p @ p)


def double(p):
    return 2.0 * p


def test_a_plain_function_is_refused_with_the_way_out():
    with pytest.raises(
        TypeError, match=r"takes an objective, got function; wrap a cost function as CostObjective\(f\)"
    ):
        Problem(Euclidean(2), square)


def test_shortcuts_agree_with_an_evaluation_and_take_lists_and_integers():
    problem = Problem(Euclidean(2), CostObjective(square, double))
    for p in ([3, 4], (3, 4), np.array([3, 4]), np.array([3.0, 4.0])):
        assert problem.cost(p) == 25.0
        np.testing.assert_array_equal(problem.gradient(p), [6.0, 8.0])
        np.testing.assert_allclose(problem.hessian(p, np.array([1.0, 0.0])), [2.0, 0.0], atol=1e-7)


def test_evaluations_count_where_they_are_told():
    problem, counts = Problem(Euclidean(2), CostObjective(square, double)), Counts()
    e = problem.evaluate(np.ones(2), counts)
    assert counts == {}
    _ = e.cost, e.cost, e.gradient
    assert counts == {"cost": 1, "gradient": 1}
    problem.cost(np.ones(2))
    assert counts == {"cost": 1, "gradient": 1}


def test_derivatives_are_resolved_once():
    calls = []

    class Resolving(CostObjective):
        def bind(self, M, p, counts):
            calls.append(p)
            return super().bind(M, p, counts)

    problem = Problem(Sphere(2), Resolving(square, double))
    for p in np.eye(3):
        problem.cost(p)
    assert len(calls) == 1


def test_a_pickled_problem_works_again():
    problem = Problem(Sphere(2), CostObjective(square, double))
    problem.cost(np.eye(3)[0])
    again = pickle.loads(pickle.dumps(problem))
    assert again.manifold == problem.manifold and again.cost(np.eye(3)[0]) == 1.0
    assert "Sphere(2)" in repr(again)
