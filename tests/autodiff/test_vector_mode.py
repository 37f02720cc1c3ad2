"""Derivatives along many directions at once are autograd's along one after the other, and those of differences."""

from __future__ import annotations

import autograd.numpy as np
import numpy
import pytest
from autograd.core import make_jvp
from autograd.tracer import trace_stack
from numpy.testing import assert_allclose

from manifold_opt.autodiff import AutogradBackend
from manifold_opt.autodiff.autograd_backend import _AutogradLinearization, _Rules
from manifold_opt.autodiff.vector_mode import VectorNode
from manifold_opt.manifolds import Rotations, Sphere

A = numpy.random.default_rng(0).standard_normal((3, 4))
S = numpy.random.default_rng(1).standard_normal((4, 4)) + 4.0 * numpy.eye(4)
x = numpy.linspace(0.5, 2.0, 5)

FUNCTIONS = {
    "add": lambda p: p + 1.0 + (x[:, None] + p),
    "subtract": lambda p: x[:, None] - p - (p - 2.0),
    "multiply": lambda p: p * x[:, None] * p,
    "divide": lambda p: p / x[:, None] + 1.0 / p + p / (p + 2.0),
    "divide, by its name": lambda p: np.divide(p, 3.0) + np.true_divide(2.0, p),
    "power": lambda p: p**2 + p**-1.5 + 2.0**p + p**p + p**0,
    "power of zero": lambda p: (p - p[0]) ** 2 + (p - p[0]) ** 1,
    "arctan2": lambda p: np.arctan2(p, 1.0 - p) + np.arctan2(x[:, None], p),
    "maximum, minimum": lambda p: np.maximum(p, 1.0) + np.minimum(p, p[::-1]) + np.maximum(0.7, p),
    "absolute": lambda p: np.abs(p - 1.0) + np.fabs(p) + np.absolute(-p) + abs(p),
    "negative": lambda p: -p,
    "exponentials": lambda p: np.exp(p) + np.exp2(p) + np.expm1(p),
    "logarithms": lambda p: np.log(p) + np.log1p(p) + np.log2(p) + np.log10(p),
    "roots": lambda p: np.sqrt(p) + np.square(p) + np.reciprocal(p),
    "circular": lambda p: np.sin(p) * np.cos(p) + np.tan(p / 3.0),
    "arcs": lambda p: np.arcsin(p / 5.0) + np.arccos(p / 5.0) + np.arctan(p),
    "hyperbolic": lambda p: np.sinh(p) + np.cosh(p) + np.tanh(p),
    "areas": lambda p: np.arcsinh(p) + np.arccosh(p + 1.0) + np.arctanh(p / 5.0),
    "plain numpy": lambda p: numpy.exp(p) * numpy.sin(x)[:, None] + numpy.sqrt(p),
    "index": lambda p: np.array([p[0], p[-1], p[1:3][0] * p[2]]),
    "index by arrays": lambda p: p[numpy.array([0, 0, 2])] + p[[1, 2, 3]] + p[numpy.array([1, 1, 1, 0], bool)],
    "index into axes": lambda p: np.outer(p, p)[:, 1] + np.outer(p, p)[2, ...] + p[None, :][0],
    "mixed index": lambda p: np.reshape(np.outer(p, np.outer(p, p)), (4, 4, 4))[numpy.array([0, 1]), :, [1, 2]],
    "sums": lambda p: np.sum(np.outer(p, p), axis=1) + np.sum(p) + np.sum(np.outer(p, p), axis=-2),
    "kept sums": lambda p: np.sum(np.outer(p, p), axis=0, keepdims=True) + np.sum(np.outer(p, p), axis=(0, 1)),
    "means": lambda p: np.mean(np.outer(p, p), axis=1) + np.mean(p),
    "shapes": lambda p: np.ravel(np.reshape(p, (2, 2))) + np.squeeze(np.expand_dims(p, 1)) + np.atleast_2d(p)[0],
    "axes": lambda p: np.swapaxes(np.outer(p, x), 0, 1) + np.transpose(np.outer(p, x)) + np.outer(p, x).T,
    "moved axes": lambda p: np.moveaxis(np.reshape(np.outer(p, np.outer(p, x)), (4, 4, 5)), 0, 2),
    "permuted axes": lambda p: np.transpose(np.reshape(np.outer(p, np.outer(p, x)), (4, 4, 5)), (2, 0, -2)),
    "rearranged": lambda p: np.roll(p, 1) + np.flip(p, 0) + np.diff(np.concatenate([p, p[:1]])) + np.cumsum(p),
    "repeated": lambda p: np.repeat(p, 2) + np.tile(p, 2),
    "matrices": lambda p: np.diag(p) + np.tril(np.outer(p, p)) + np.triu(np.outer(p, p)) + np.trace(np.outer(p, p)),
    "dot": lambda p: np.dot(A, p) * np.dot(p, p) + np.dot(p, A.T),
    "matmul": lambda p: A @ p + p @ A.T + np.matmul(np.outer(p, p), S)[0, 0],
    "stacks of matrices": lambda p: np.outer(p, p) @ np.stack([np.outer(p, x[:4]), S]) @ np.outer(p, x[:3]),
    "split": lambda p: np.split(p, [1, 2])[2] * np.split(np.outer(p, p), 2, axis=-1)[1][0] + np.array_split(p, 3)[0],
    "einsum": lambda p: np.einsum("ij,j->i", A, p) + np.einsum("i,i->", p, p),
    "einsum of three": lambda p: np.einsum("i, ij, j -> i", p, S, p) + np.einsum("i,i", p, p) + np.einsum("ii->i", S),
    "einsum with dots": lambda p: np.einsum("...i,i->...", np.outer(p, p), p),
    "tensordot": lambda p: np.tensordot(A, np.outer(p, p), axes=1),
    "inner, outer": lambda p: np.inner(p, A) * np.inner(p, p) + np.sum(np.outer(p, p)),
    "cross": lambda p: np.cross(p[:3], p[1:]) + np.cross(x[:3], p[1:]),
    "crosses of batches": lambda p: np.cross(np.outer(x, p[1:]), p[:3]),
    "crosses along an axis": lambda p: np.cross(np.outer(p[1:], x), np.outer(p[:3], x), axis=0),
    "concatenated": lambda p: np.concatenate([p, x, 2.0 * p]) * np.hstack([x, p, p]),
    "concatenated columns": lambda p: np.concatenate([np.outer(x, p), np.outer(x, p[:2])], axis=1),
    "stacked": lambda p: np.stack([p, p**2], axis=1) + np.column_stack([p, 2.0 * p]) + np.vstack([p, p]).T,
    "arrays": lambda p: np.array([[p[0], 1.0], [p[1] * p[2], p[3]]]) + np.array(p)[0],
    "list": lambda p: [p[0], p[1:] ** 2, 3.0],
    "where": lambda p: np.where(p > 1.0, p**2, 1.0) + np.where(p > 1.0, 0.0, p),
    "clip": lambda p: np.clip(p, 0.9, 1.5),
    "norm": lambda p: np.linalg.norm(p) * p + np.linalg.norm(np.outer(p, x), axis=1),
    "norms": lambda p: np.linalg.norm(np.outer(p, x)) + np.linalg.norm(p, 2) + np.linalg.norm(p[:, None], "fro"),
    "inverse": lambda p: np.linalg.inv(S + np.outer(p, p)),
    "solve": lambda p: np.linalg.solve(S + np.outer(p, p), p) + np.linalg.solve(S, np.outer(p, p))[0],
    "branch": lambda p: p**2 if p[0] > 0.0 else -p,
    "loop": lambda p: sum(c * p**k for k, c in enumerate([1.0, 2.0, 3.0])),
    "constant": lambda p: x,
}


def at(f, p):
    return _AutogradLinearization(f, p, _Rules())


def entries(value):
    return numpy.concatenate([numpy.ravel(v) for v in value]) if isinstance(value, list) else numpy.ravel(value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_rule_is_that_of_central_differences(name):
    f, p, h = FUNCTIONS[name], numpy.array([0.6, 1.1, 1.7, 0.8]), 1e-6
    rules = _Rules()
    J = _AutogradLinearization(f, p, rules).push(numpy.eye(4))
    assert rules.vector, "there is a rule for all of it"
    moved = [(entries(f(p + h * e)) - entries(f(p - h * e))) / (2.0 * h) for e in numpy.eye(4)]
    assert_allclose(J, numpy.stack(moved, axis=1), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("list", "constant")])
def test_every_rule_is_that_of_one_direction_after_the_other(name):
    f, p = FUNCTIONS[name], numpy.array([0.6, 1.1, 1.7, 0.8])
    J = at(f, p).push(numpy.eye(4))
    try:
        columns = [numpy.ravel(make_jvp(f, p)(e)[1]) for e in numpy.eye(4)]
    except NotImplementedError:
        pytest.skip("autograd has no forward rule")
    assert_allclose(J, numpy.stack(columns, axis=1), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n, directions", [(1, 1), (4, 0), (4, 7)])
def test_any_number_of_directions(n, directions):
    p, V = numpy.linspace(1.0, 2.0, n), numpy.random.default_rng(2).standard_normal((directions, n))
    J = at(lambda p: np.concatenate([p**2, np.sin(p)]), p).push(V)
    expected = numpy.concatenate([numpy.diag(2.0 * p), numpy.diag(numpy.cos(p))]) @ V.T
    assert_allclose(J, expected, rtol=1e-14)


def test_memory_is_bounded_by_groups_of_directions(monkeypatch):
    from manifold_opt.autodiff import autograd_backend

    calls = []
    f = lambda p: (calls.append(1), p**2)[1]
    monkeypatch.setattr(autograd_backend, "_ENTRIES", 12)
    J = at(f, numpy.arange(1.0, 5.0)).push(numpy.eye(4))
    assert_allclose(J, numpy.diag(2.0 * numpy.arange(1.0, 5.0)))
    assert len(calls) == 2


def test_single_precision_stays():
    p = numpy.array([0.5, 2.0], dtype=numpy.float32)
    J = at(lambda p: np.exp(p) * p, p).push(numpy.eye(2, dtype=numpy.float32))
    assert J.dtype == numpy.float32


def test_what_has_no_rule_leaves_autograd_in_order():
    top = trace_stack.top
    rules = _Rules()
    f = lambda p: np.linalg.cholesky(np.diag(p))
    J = _AutogradLinearization(f, numpy.array([1.0, 4.0]), rules).push(numpy.eye(2))
    assert not rules.vector and trace_stack.top == top
    assert_allclose(J, [[0.5, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.25]], atol=1e-15)


def test_complex_intermediate_values_are_pushed_as_they_are():
    f = lambda p: np.real(np.exp(1j * p) * (p + 2j))
    p = numpy.array([0.3, 1.2])
    J = at(f, p).push(numpy.eye(2))
    assert_allclose(J, numpy.diag(numpy.cos(p) - p * numpy.sin(p) - 2.0 * numpy.cos(p)), rtol=1e-14)


def test_moduli_of_complex_numbers_have_no_rule():
    rules = _Rules()
    p = numpy.array([0.3, 1.2])
    J = _AutogradLinearization(lambda p: np.abs(p + 2j), p, rules).push(numpy.eye(2))
    assert not rules.vector
    assert_allclose(J, numpy.diag(p / numpy.sqrt(p**2 + 4.0)), rtol=1e-13)


@pytest.mark.parametrize("M", [Sphere(2), Rotations(3)], ids=repr)
def test_manifold_operations_inside_a_residual(M):
    q = M.random_point(0, size=(4,))
    r = lambda p: np.ravel(M.log(np.broadcast_to(p, q.shape), q))
    p = M.retract(M.random_point(1), M.random_vector(M.random_point(1), 2))
    _, J = AutogradBackend().jacobian(r, M)(p)
    h = 1e-6
    for column, E in zip(J.T, M.get_basis(p)):
        found = (r(M.exp(p, E, h)) - r(M.exp(p, E, -h))) / (2.0 * h)
        assert_allclose(column, found, atol=1e-7)


def test_keywords_that_add_constants_have_no_rule():
    rules = _Rules()
    p = numpy.array([0.3, 1.2])
    _AutogradLinearization(lambda p: np.diff(np.sin(p), append=3.0), p, rules).push(numpy.eye(2))
    assert not rules.vector


def test_a_node_without_a_rule_says_which():
    with pytest.raises(NotImplementedError, match="cholesky"):
        VectorNode(None, np.linalg.cholesky, (), {}, (0,), ())
