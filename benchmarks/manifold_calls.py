"""Microseconds of single calls on manifolds, on one point and on a thousand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from manifold_opt import Rotations, Sphere, SymmetricPositiveDefinite

from .harness import Table, best_in_turns, peer

N = 1000


def contestants(M: Any, theirs: Any, other: Any) -> dict[str, Callable[..., dict[str, Any]]]:
    """For each operation, calls of all packages at p, q, X with the tangent vector of each in its own storage."""

    def of(p: Any, q: Any, X: Any, batched: bool) -> dict[str, dict[str, Callable[[], Any]]]:
        stored = M.embed_vector(p, X)  # geomstats keeps tangent vectors of rotations in the embedding
        calls = {
            "exp": {"ours": lambda: M.exp(p, X)},
            "log": {"ours": lambda: M.log(p, q)},
            "distance": {"ours": lambda: M.distance(p, q)},
            "inner": {"ours": lambda: M.inner(p, X, X)},
        }
        if theirs is not None:
            metric = theirs.metric
            calls["exp"]["geomstats"] = lambda: metric.exp(stored, p)
            calls["log"]["geomstats"] = lambda: metric.log(q, p)
            calls["distance"]["geomstats"] = lambda: metric.dist(p, q)
            calls["inner"]["geomstats"] = lambda: metric.inner_product(stored, stored, p)
        if other is not None and not batched:
            calls["exp"]["pymanopt"] = lambda: other.exp(p, X)
            calls["log"]["pymanopt"] = lambda: other.log(p, q)
            calls["distance"]["pymanopt"] = lambda: other.dist(p, q)
            calls["inner"]["pymanopt"] = lambda: other.inner_product(p, X, X)
        return calls

    return of


def by_hand(name: str, p: Any, q: Any, X: Any) -> dict[str, Callable[[], Any]]:
    """Straightforward NumPy for a batch, written for this manifold alone."""

    def sphere_exp() -> Any:
        t = np.sqrt(np.einsum("ij,ij->i", X, X))[:, None]
        return np.cos(t) * p + np.sin(t) / t * X

    def sphere_log() -> Any:
        c = np.einsum("ij,ij->i", p, q)[:, None]
        Y = q - c * p
        s = np.sqrt(np.einsum("ij,ij->i", Y, Y))[:, None]
        return np.arctan2(s, c) / s * Y

    def rotation_exp() -> Any:
        a, b, c = X[:, 2, 1], X[:, 0, 2], X[:, 1, 0]
        t2 = a * a + b * b + c * c
        t = np.sqrt(t2)
        S = X @ X
        E = (np.sin(t) / t)[:, None, None] * X + ((1 - np.cos(t)) / t2)[:, None, None] * S
        E[:, [0, 1, 2], [0, 1, 2]] += 1
        return p @ E

    def spd_exp() -> Any:
        L = np.linalg.cholesky(p)
        Li = np.linalg.inv(L)
        w, V = np.linalg.eigh(Li @ X @ np.swapaxes(Li, 1, 2))
        B = L @ (V * np.exp(0.5 * w)[:, None, :])
        return B @ np.swapaxes(B, 1, 2)

    def spd_log() -> Any:
        L = np.linalg.cholesky(p)
        Li = np.linalg.inv(L)
        w, V = np.linalg.eigh(Li @ q @ np.swapaxes(Li, 1, 2))
        B = L @ V
        return (B * np.log(w)[:, None, :]) @ np.swapaxes(B, 1, 2)

    table = {
        "Sphere(2)": {"exp": sphere_exp, "log": sphere_log},
        "Rotations(3)": {"exp": rotation_exp},
        "SymmetricPositiveDefinite(3)": {"exp": spd_exp, "log": spd_log},
    }
    return table[name]


def pairs() -> list[tuple[Any, Any, Any]]:
    """Our manifold with geomstats' and pymanopt's, where installed."""
    geometry, pymanopt = peer("geomstats.geometry.hypersphere"), peer("pymanopt.manifolds")
    if geometry is not None:
        from geomstats.geometry.hypersphere import Hypersphere
        from geomstats.geometry.spd_matrices import SPDMatrices
        from geomstats.geometry.special_orthogonal import SpecialOrthogonal

        theirs = [Hypersphere(2), SpecialOrthogonal(3, point_type="matrix"), SPDMatrices(3)]
    else:
        theirs = [None] * 3
    others = [None] * 3
    if pymanopt is not None:
        others = [pymanopt.Sphere(3), pymanopt.SpecialOrthogonalGroup(3), pymanopt.SymmetricPositiveDefinite(3)]
    ours = [Sphere(2), Rotations(3), SymmetricPositiveDefinite(3)]
    return list(zip(ours, theirs, others, strict=True))


def tables() -> Iterator[Table]:
    single, batched = [], []
    for M, theirs, other in pairs():
        rng = np.random.default_rng(0)
        of = contestants(M, theirs, other)
        for size, rows in (((), single), ((N,), batched)):
            p = M.random_point(rng, size)
            X = 0.3 * M.random_vector(p, rng)
            q = M.exp(p, X)
            hand = by_hand(repr(M), p, q, X) if size else {}
            for name, calls in of(p, q, X, bool(size)).items():
                if name in hand:
                    calls["NumPy by hand"] = hand[name]
                us = {who: 1e6 * t for who, t in best_in_turns(calls, 0.3).items()}
                ours = us["ours"]
                peers = ["NumPy by hand", "geomstats"] if size else ["geomstats", "pymanopt"]
                cells = [value for who in peers for value in (us.get(who), us.get(who, math.nan) / ours)]
                rows.append([f"{M!r} {name}", ours, *cells])
    yield Table(
        "One small point",
        "Microseconds per call, and how many times longer the peers take.",
        ["", "ours", "geomstats", "ratio", "pymanopt", "ratio"],
        single,
    )
    yield Table(
        "A thousand points at once",
        "Microseconds per call with 1000 points. The budget is 1.3 times the time of NumPy written by hand (a ratio of "
        "at least 0.77); the hand-written formulas lose accuracy at small and large distances, ours do not.",
        ["", "ours", "NumPy by hand", "ratio", "geomstats", "ratio"],
        batched,
    )
