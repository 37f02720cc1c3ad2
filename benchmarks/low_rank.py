"""Calls on matrices of fixed rank beside pymanopt, and the parallel transport of shapes beside geomstats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from manifold_opt import FixedRank, KendallShape
from manifold_opt.manifolds import import_geomstats

from .harness import Table, best_in_turns, peer

SIZES = ((5, 4, 2), (100, 80, 5), (1000, 1000, 10))


def fixed_rank_calls(m: int, n: int, k: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """The operations of an iteration, both packages on the same points in their own storage."""
    M = FixedRank(m, n, k)
    p = M.random_point(0)
    X = 0.1 * M.random_vector(p, 1)
    q = M.retract(p, X)
    calls: dict[str, dict[str, Callable[[], Any]]] = {
        "inner": {"ours": lambda: M.inner(p, X, X)},
        "retract": {"ours": lambda: M.retract(p, X)},
        "retract, orthographic": {"ours": lambda: M.retract(p, X, method="orthographic")},
        "inverse_retract": {"ours": lambda: M.inverse_retract(p, q)},
        "transport": {"ours": lambda: M.vector_transport_to(p, X, q)},
        "gradient from U, S, V": {"ours": lambda: M.riemannian_gradient_from_storage(p, X)},
        "random_vector": {"ours": lambda: M.random_vector(p, 0)},
    }
    if peer("pymanopt.manifolds") is not None:
        N = peer("pymanopt.manifolds").FixedRankEmbedded(m, n, k)
        U, S, V = M.split(p)
        a = (U, np.diag(S).copy(), V.T.copy())
        W = N.random_tangent_vector(a)
        b = N.retraction(a, W)
        g = (U, np.diag(S).copy(), V.T.copy())
        calls["inner"]["pymanopt"] = lambda: N.inner_product(a, W, W)
        calls["retract"]["pymanopt"] = lambda: N.retraction(a, W)
        calls["transport"]["pymanopt"] = lambda: N.transport(a, b, W)
        calls["gradient from U, S, V"]["pymanopt"] = lambda: N.euclidean_to_riemannian_gradient(a, g)
        calls["random_vector"]["pymanopt"] = lambda: N.random_tangent_vector(a)
    return calls


def tables() -> Iterator[Table]:
    rows = []
    for size in SIZES:
        for name, functions in fixed_rank_calls(*size).items():
            us = {who: 1e6 * t for who, t in best_in_turns(functions, 0.3).items()}
            ours, theirs = us["ours"], us.get("pymanopt", math.nan)
            rows.append([f"FixedRank{size} {name}", ours, theirs, theirs / ours])
    yield Table(
        "Matrices of fixed rank",
        "Microseconds per call, and how many times longer pymanopt takes, whose points and vectors are tuples of "
        "factors; "
        "it has no orthographic retraction, no inverse and no Hessian.",
        ["", "ours", "pymanopt", "ratio"],
        rows,
    )
    if peer("geomstats") is None:
        return
    rows = []
    for k, n in ((4, 2), (5, 3), (22, 3)):
        space = import_geomstats("geomstats.geometry.pre_shape").PreShapeSpace(k, n)
        space.equip_with_group_action("rotations")
        space.equip_with_quotient()
        metric, M = space.quotient.metric, KendallShape(k, n)
        p = M.random_point(0)
        X, d = M.random_vector(p, 1), M.random_vector(p, 2)
        d *= 0.4 / M.norm(p, d)
        calls = {
            "ours": lambda M=M, p=p, X=X, d=d: M.parallel_transport_direction(p, X, d),
            "geomstats": lambda metric=metric, p=p, X=X, d=d: metric.parallel_transport(X, p, direction=d),
        }
        us = {who: 1e6 * t for who, t in best_in_turns(calls, 2.0, turns=3).items()}
        off = float(np.max(np.abs(calls["ours"]() - calls["geomstats"]())))
        rows.append([repr(M), us["ours"], us["geomstats"], us["geomstats"] / us["ours"], off])
    yield Table(
        "Parallel transport of shapes",
        "Microseconds per call, ours to 1e-13, geomstats with its 100 steps, and the largest difference of the two.",
        ["", "ours", "geomstats", "ratio", "difference"],
        rows,
    )
