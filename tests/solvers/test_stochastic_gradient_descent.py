"""Means over samples: known minimizers, the moments of Adam, variance reduction, seeds, iterators."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.linalg import eigh, subspace_angles

from manifold_opt import (
    Adam,
    AMSGrad,
    ArmijoLinesearch,
    ConstantLength,
    CostObjective,
    DecayingLength,
    Euclidean,
    MomentumGradient,
    PowerManifold,
    Problem,
    ProductManifold,
    Sphere,
    Status,
    StochasticGradientDescentState,
    StochasticObjective,
    StopAfterIteration,
    StopWhenGradientNormLess,
    gradient_descent,
    solve,
    stochastic_gradient_descent,
)
from manifold_opt.directions.adam import squared_components
from manifold_opt.manifolds import Stiefel

S2 = Sphere(2)


def cloud(n=60, width=0.3):
    """Points around a pole of the sphere."""
    rng = np.random.default_rng(3)
    p = np.array([2.0, -1.0, 2.0]) / 3.0
    return S2.exp(np.broadcast_to(p, (n, 3)), width * np.stack([S2.random_vector(p, rng) for _ in range(n)]))


POINTS = cloud()


def half_squared_distance(p, batch):
    return 0.5 * S2.squared_distance(p, batch).mean()


def karcher_gradient(p, batch):
    return -S2.log(np.broadcast_to(p, batch.shape), batch).mean(axis=0)


P0 = np.array([1.0, 0.0, 0.0])
MEAN = gradient_descent(S2, lambda p: half_squared_distance(p, POINTS), P0, tolerance=1e-12).point


@pytest.mark.parametrize("gradient", [None, karcher_gradient])
@pytest.mark.parametrize("direction", [None, MomentumGradient(0.5)])
def test_karcher_mean_by_decaying_steps(gradient, direction):
    """With step 1/k the k-th point is about the mean of k samples; all samples give the mean nearly exactly."""
    result = stochastic_gradient_descent(
        S2,
        half_squared_distance,
        P0,
        data=POINTS,
        gradient=gradient,
        autodiff="finite-differences" if gradient is None else "auto",
        direction=direction,
        stepsize=DecayingLength(0.5, decay=1.0),
        max_iterations=400,
        rng=1,
    )
    assert S2.distance(result.point, MEAN) < 0.02
    assert result.status is Status.ITERATION_LIMIT


def test_variance_reduction_converges_linearly_with_a_constant_step():
    keywords = dict(data=POINTS, gradient=karcher_gradient, stepsize=ConstantLength(0.2), max_iterations=60 * 8)
    plain = stochastic_gradient_descent(S2, half_squared_distance, P0, rng=0, **keywords)
    reduced = stochastic_gradient_descent(S2, half_squared_distance, P0, rng=0, variance_reduction=True, **keywords)
    assert S2.distance(reduced.point, MEAN) < 1e-10 < 1e-3 < S2.distance(plain.point, MEAN)


def test_one_batch_of_all_samples_is_gradient_descent():
    """Point by point; the first step of variance reduction too."""
    keywords = {"gradient": karcher_gradient, "stepsize": ConstantLength(0.7), "max_iterations": 5}
    full = gradient_descent(
        S2,
        lambda p: half_squared_distance(p, POINTS),
        P0,
        gradient=lambda p: karcher_gradient(p, POINTS),
        stepsize=ConstantLength(0.7),
        max_iterations=5,
    )
    for reduce in (False, True):
        result = stochastic_gradient_descent(
            S2, half_squared_distance, P0, data=POINTS, batch_size=60, variance_reduction=reduce, **keywords
        )
        assert np.allclose(result.point, full.point, atol=1e-15)


X = np.random.default_rng(5).standard_normal((300, 6)) * [4.0, 3.0, 1.0, 0.6, 0.4, 0.2]


def variance(p, batch):
    return -((batch @ p) ** 2).sum() / len(batch)


def variance_gradient(p, batch):
    return -2.0 * batch.T @ (batch @ p) / len(batch)


@pytest.mark.parametrize(
    ("M", "k"), [(Sphere(5), 1), (Stiefel(6, 2), 2)], ids=["leading component", "leading two components"]
)
@pytest.mark.parametrize("reduce", [False, True])
def test_principal_components(M, k, reduce):
    result = stochastic_gradient_descent(
        M,
        variance,
        M.random_point(0),
        data=X,
        gradient=variance_gradient,
        objective_type="euclidean",
        batch_size=10,
        variance_reduction=reduce,
        stepsize=ConstantLength(0.005) if reduce else DecayingLength(0.02, decay=2.0),
        max_iterations=1500,
        rng=2,
    )
    space = eigh(X.T @ X)[1][:, -k:]
    angle = subspace_angles(space, result.point.reshape(6, k)).max()
    assert angle < (1e-7 if reduce else 0.02)


@pytest.mark.parametrize("direction", [Adam(), AMSGrad()])
def test_adam_on_the_sphere(direction):
    result = stochastic_gradient_descent(
        S2,
        half_squared_distance,
        P0,
        data=POINTS,
        gradient=karcher_gradient,
        direction=direction,
        batch_size=6,
        stepsize=DecayingLength(0.05, decay=1.0),
        max_iterations=1000,
        rng=0,
    )
    assert S2.distance(result.point, MEAN) < 0.01


def reference_adam(g, x, steps, lr, b1, b2, eps, largest):
    """Kingma and Ba, algorithm 1, and the maximum of Reddi et al., entry by entry."""
    m, v, top = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for k in range(1, steps + 1):
        G = g(x)
        m = b1 * m + (1 - b1) * G
        v = b2 * v + (1 - b2) * G * G
        top = np.maximum(top, v)
        square = top if largest else v
        x = x - lr * (m / (1 - b1**k)) / (np.sqrt(square / (1 - b2**k)) + eps)
    return x


@pytest.mark.parametrize("rule", [Adam(0.8, 0.95), AMSGrad(0.8, 0.95), Adam()])
def test_adam_on_flat_space_is_adam(rule):
    scale = np.array([1.0, 100.0, 1e-3])
    g = lambda x, batch=None: scale * (x - 1.0)
    f = lambda x, batch: 0.5 * (scale * (x - 1.0) ** 2).sum()
    x0 = np.array([2.0, -1.0, 0.5])
    result = stochastic_gradient_descent(
        Euclidean(3), f, x0, data=1, gradient=g, direction=rule, stepsize=ConstantLength(0.1), max_iterations=30
    )
    expected = reference_adam(g, x0, 30, 0.1, rule.first, rule.second, rule.eps, type(rule) is AMSGrad)
    assert np.allclose(result.point, expected, rtol=1e-12)


def test_the_first_step_of_adam_has_the_length_of_the_step_size():
    """Geoopt corrected the bias wrongly: m' = g and v' = |g|^2 in the first step, so |X| = 1."""
    result = stochastic_gradient_descent(
        S2,
        half_squared_distance,
        P0,
        data=POINTS,
        gradient=karcher_gradient,
        direction=Adam(),
        stepsize=ConstantLength(0.01),
        max_iterations=1,
    )
    assert np.isclose(S2.distance(result.point, P0), 0.01, rtol=1e-6)


def test_moments_are_those_of_factors_copies_and_entries():
    M = ProductManifold(s=PowerManifold(S2, 3), x=Euclidean(2))
    p = M.random_point(0)
    Y = M.random_vector(p, 1)
    s, x = M.split_vector(Y)
    squares, entries = M.split_vector(squared_components(M, p, Y))
    assert np.allclose(squares, (s**2).sum(axis=1, keepdims=True) * np.ones(3))
    assert np.allclose(entries, x**2)


def test_a_mixed_product_by_adam_with_batches():
    M = ProductManifold(s=PowerManifold(S2, 2), x=Euclidean(2))
    y = np.random.default_rng(0).standard_normal((40, 2))

    def f(p, batch):
        s, x = M.split(p)
        return (s[:, 0] ** 2).sum() + ((batch - x) ** 2).sum() / len(batch)

    result = stochastic_gradient_descent(
        M,
        f,
        M.random_point(1),
        data=y,
        batch_size=8,
        direction=Adam(),
        stepsize=DecayingLength(0.1, decay=2.0),
        max_iterations=1000,
        rng=0,
    )
    s, x = M.split(result.point)
    assert np.allclose(s[:, 0], 0.0, atol=1e-3) and np.allclose(x, y.mean(axis=0), atol=0.02)


def run(rng=0, **keywords):
    keywords = {"data": POINTS, "gradient": karcher_gradient, "max_iterations": 50, **keywords}
    return stochastic_gradient_descent(S2, half_squared_distance, P0, rng=rng, **keywords)


@pytest.mark.parametrize("order", ["shuffled", "fixed", "linear", "independent"])
def test_seeds_reproduce_runs(order):
    one, two, other = run(0, order=order), run(0, order=order), run(1, order=order)
    assert np.array_equal(one.point, two.point)
    assert np.array_equal(one.point, other.point) == (order == "linear")
    again = one.state.reset()
    assert np.array_equal(solve(one.problem, again).point, two.point)


def test_every_epoch_sees_each_sample_once():
    """Manopt.jl's order "Random" never changes: here each epoch has its own."""
    seen = []

    def gradient(p, batch):
        seen.append(batch)
        return np.zeros(2)

    stochastic_gradient_descent(
        Euclidean(2), lambda p, batch: 0.0, np.zeros(2), data=7, gradient=gradient, batch_size=3, max_iterations=6
    )
    epochs = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert [len(b) for b in seen] == [3, 3, 1] * 2
    assert all(sorted(e) == list(range(7)) for e in epochs) and not np.array_equal(*epochs)


def test_counts_and_watching():
    result = run(batch_size=7, max_iterations=9)
    assert result.evaluations["gradient"] == 9 and result.evaluations["samples"] == 60
    assert result.evaluations["cost"] == 0 and result.evaluations["watched"] == 1
    result = run(batch_size=10, max_iterations=12, variance_reduction=True)
    # two snapshots; at them one gradient, in the ten other steps two
    assert result.evaluations["gradient"] == 2 + 20
    result = run(max_iterations=4, record=["cost"])
    assert len(result.record["cost"]) == 5 and result.evaluations["cost"] == 0


def test_stopping_by_the_full_gradient():
    result = stochastic_gradient_descent(
        S2,
        half_squared_distance,
        P0,
        data=POINTS,
        gradient=karcher_gradient,
        stopping=StopWhenGradientNormLess(1e-6),
        variance_reduction=True,
        batch_size=6,
        stepsize=ConstantLength(0.3),
    )
    assert result.converged and S2.distance(result.point, MEAN) < 1e-5


def test_a_pickled_state_continues_as_if_nothing_had_happened():
    objective = StochasticObjective(half_squared_distance, POINTS, karcher_gradient)
    rules = {"direction": MomentumGradient(0.5), "stepsize": ConstantLength(0.1), "variance_reduction": True}
    make = lambda stop: StochasticGradientDescentState(P0, batch_size=7, rng=4, stopping=stop, **rules)
    whole = solve(Problem(S2, objective), make(StopAfterIteration(30)))
    half = pickle.loads(pickle.dumps(solve(Problem(S2, objective), make(StopAfterIteration(13)))))
    half.stopping = StopAfterIteration(30)
    assert np.array_equal(solve(Problem(S2, objective), half).point, whole.point)


@pytest.mark.parametrize("direction", [None, Adam(), AMSGrad(), MomentumGradient(0.5)])
def test_single_precision_stays(direction):
    p0 = P0.astype(np.float32)
    result = stochastic_gradient_descent(
        S2, half_squared_distance, p0, data=POINTS, gradient=karcher_gradient, direction=direction, max_iterations=3
    )
    assert result.point.dtype == np.float32


def test_a_search_on_the_batch():
    result = run(stepsize=ArmijoLinesearch(initial_guess="last"), batch_size=30, max_iterations=60)
    assert S2.distance(result.point, MEAN) < 0.1


class Loader:
    """Three batches, again and again."""

    def __iter__(self):
        return iter(np.split(POINTS, 3))


def test_iterables_give_batches():
    result = run(data=Loader(), stepsize=DecayingLength(1.0, decay=1.0), max_iterations=300)
    assert S2.distance(result.point, MEAN) < 0.01
    assert np.isclose(result.cost, half_squared_distance(result.point, POINTS[:20]))
    objective = StochasticObjective(half_squared_distance, Loader(), karcher_gradient, reference=POINTS)
    result = stochastic_gradient_descent(S2, objective, P0, max_iterations=3)
    assert np.isclose(result.cost, half_squared_distance(result.point, POINTS))


def test_a_generator_that_ends_says_so():
    with pytest.raises(ValueError, match="no more batches"):
        run(data=(batch for batch in np.split(POINTS, 3)))
    assert run(data=(batch for batch in np.split(POINTS, 3)), max_iterations=3).iterations == 3


def test_tuples_of_arrays_are_taken_apart_together():
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((50, 3)), np.array([1.0, -2.0, 0.5])
    f = lambda p, batch: 0.5 * ((batch[0] @ p - batch[1]) ** 2).mean()
    g = lambda p, batch: batch[0].T @ (batch[0] @ p - batch[1]) / len(batch[1])
    result = stochastic_gradient_descent(
        Euclidean(3), f, np.zeros(3), data=(A, A @ x), gradient=g, stepsize=ConstantLength(0.1), max_iterations=4000
    )
    assert np.allclose(result.point, x, atol=1e-9)


def test_steps_that_blow_up_end_the_run():
    """The last good point is the answer."""
    g = lambda p, batch: 2.0 * p if np.abs(p).max() < 100.0 else np.full(2, np.inf)
    result = stochastic_gradient_descent(
        Euclidean(2), lambda p, batch: float(p @ p), np.ones(2), data=1, gradient=g, stepsize=ConstantLength(2.0)
    )
    assert result.status is Status.BAD_FUNCTION and np.all(np.isfinite(result.point))


def test_the_hybrid_step_decays_first_and_stays():
    rule = DecayingLength(0.5, decay=2.0, until=3)
    assert [rule.at(k) for k in range(5)] == [0.5, 0.25, 0.5 / 3, 0.125, 0.125]
    assert DecayingLength(0.5, decay=0.0).at(100) == 0.5


@pytest.mark.parametrize(
    ("keywords", "kind", "message"),
    [
        ({"data": None}, TypeError, "needs `data`"),
        ({"data": np.zeros((0, 3))}, ValueError, "no samples"),
        ({"data": (np.zeros(2), np.zeros(3))}, ValueError, "same length"),
        ({"data": 1.5}, TypeError, "`data` must be"),
        ({"batch_size": 0}, ValueError, "`batch_size`"),
        ({"order": "random"}, ValueError, "`order`"),
        ({"direction": "adam"}, TypeError, "`direction`"),
        ({"data": Loader(), "variance_reduction": True}, ValueError, "all samples"),
        ({"batchsize": 3}, TypeError, "did you mean 'batch_size'"),
    ],
)
def test_mistakes_are_named(keywords, kind, message):
    with pytest.raises(kind, match=message):
        run(**keywords)


def test_parameters_are_checked():
    for wrong in (lambda: Adam(1.0), lambda: Adam(0.9, -0.1), lambda: AMSGrad(eps=0.0), lambda: DecayingLength(0.0)):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(TypeError, match="StochasticObjective"):
        solve(Problem(S2, CostObjective(lambda p: p[0])), StochasticGradientDescentState(P0))
