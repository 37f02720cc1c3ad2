"""Sizes of vectors and distances of points in the norm that a criterion names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..manifolds import PowerManifold, ProductManifold


def check_norm(rule: Any) -> None:
    """Raise unless the fields ``norm`` and ``outer_norm`` of a rule make sense (and not both are given)."""
    norm, outer, owner = getattr(rule, "norm", None), rule.outer_norm, type(rule).__name__
    if not (norm is None or callable(norm) or _is_inf(norm)):
        raise ValueError(f"`norm` of {owner} must be None, np.inf or a function (M, p, X) -> float; got {norm!r}.")
    if outer is None:
        return
    if not isinstance(outer, int | float) or isinstance(outer, bool) or not outer >= 1:
        raise ValueError(f"`outer_norm` of {owner} must be an order >= 1, as 1, 2 or np.inf; got {outer!r}.")
    if norm is not None:
        raise ValueError(f"{owner} takes `norm` or `outer_norm`, not both; got {norm!r} and {outer!r}.")
    object.__setattr__(rule, "outer_norm", float(outer))


def _is_inf(norm: Any) -> bool:
    return isinstance(norm, float) and norm == math.inf


def vector_size(rule: Any, M: Any, p: Any, X: Any) -> float:
    """Size of the tangent vector X at p in the norm of the rule."""
    if rule.outer_norm is not None:
        return float(np.linalg.norm(component_norms(M, p, X), ord=rule.outer_norm))
    if rule.norm is None:
        return float(M.norm(p, X))
    if callable(rule.norm):
        return float(rule.norm(M, p, X))
    return float(np.max(np.abs(X), initial=0.0))


def distance_size(rule: Any, M: Any, p: Any, q: Any) -> float:
    """Distance from p to q as the rule measures it."""
    method, outer = rule.inverse_retraction, rule.outer_norm
    if method is None and outer is None and M.has("distance"):
        return float(M.distance(p, q))
    X = M.inverse_retract(p, q, method=method)
    if outer is None:
        return float(M.norm(p, X))
    return float(np.linalg.norm(component_norms(M, p, X), ord=outer))


def component_norms(M: Any, p: Any, X: Any) -> Any:
    """Riemannian norms of the components of X, on a product or power manifold; of X itself elsewhere."""
    if isinstance(M, ProductManifold):
        parts = zip(M.factors, M.split(p), M.split_vector(X), strict=True)
        return np.concatenate([np.ravel(component_norms(N, q, Y)) for (_, N), q, Y in parts])
    base = M.manifold if isinstance(M, PowerManifold) else M
    return np.ravel(base.norm(p, X))
