"""Derivatives of distances, for every manifold and every library at once.

The gradient of ``d(p, q)^2 / 2`` in p is ``-log_p(q)``. Differentiating the formula of a distance instead
gives NaN at p = q, where users start, and loses digits near it. One rule serves autograd (both modes), JAX
and PyTorch; it is written in ``log``, so that second derivatives follow by differentiating that.

References
----------
X. Pennec, Intrinsic statistics on Riemannian manifolds, J. Math. Imaging Vision 25, 2006, theorem 2 and
appendix A.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import expanded

__all__ = ["log_derivative"]


def log_derivative(formula: Callable[[Any, Array, Array], Any]) -> Callable[[Any, Array, Array], Any]:
    """Give ``distance(M, p, q)`` or ``squared_distance(M, p, q)`` its derivative; its name tells which it is.

    Plain NumPy arguments call the formula directly.
    """
    squared = formula.__name__ == "squared_distance"

    @functools.wraps(formula)
    def distance(self: Any, p: Array, q: Array) -> Any:
        if type(p) is np.ndarray and type(q) is np.ndarray:
            return formula(self, p, q)
        return _rule(namespace(p, q).__name__.rpartition(".")[0])(formula, squared, self, p, q)

    return distance


def _slope(squared: bool, M: Any, p: Array, q: Array, value: Any) -> Array:
    """The derivative with respect to the stored array of p."""
    X = M.log(p, q)
    k = len(M.vector_shape)
    if squared:
        return M.storage_representer(p, -2.0 * X)
    xp = namespace(p, q, value)
    value = value if hasattr(value, "shape") else np.asarray(value, dtype=float)
    apart = value > M.coincidence_tolerance(p, q)
    factor = xp.where(apart, -1.0 / xp.where(apart, value, 1.0), 0.0)
    return M.storage_representer(p, expanded(factor, k) * X)


def _along(M: Any, slope: Array, direction: Array) -> Any:
    xp = namespace(slope, direction)
    k = len(M.point_shape)
    if M.field == "complex":
        return xp.sum(xp.real(xp.conj(slope) * direction), axis=tuple(range(-k, 0)))
    return xp.sum(slope * direction, axis=tuple(range(-k, 0)))


@functools.cache
def _rule(library: str) -> Callable[..., Any]:
    rules = {"": _plain, "autograd": _autograd_rule, "jax": _jax_rule, "manifold_opt.linalg": _torch_rule}
    return rules[library]()


def _plain() -> Callable[..., Any]:
    """Numbers and lists given where arrays are expected."""
    return lambda formula, squared, M, p, q: formula(M, np.asarray(p), np.asarray(q))


def _autograd_rule() -> Callable[..., Any]:
    from autograd.extend import defjvp, defvjp, primitive
    from autograd.numpy.numpy_vjps import unbroadcast_f

    @primitive
    def distance(formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        return formula(M, p, q)

    def conjugate(M: Any, slope: Array) -> Array:
        return namespace(slope).conj(slope) if M.field == "complex" else slope

    def pull_p(ans: Any, formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        slope = conjugate(M, _slope(squared, M, p, q, ans))
        return unbroadcast_f(p, lambda g: _expand(g, len(M.point_shape)) * slope)

    def pull_q(ans: Any, formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        slope = conjugate(M, _slope(squared, M, q, p, ans))
        return unbroadcast_f(q, lambda g: _expand(g, len(M.point_shape)) * slope)

    def push_p(g: Any, ans: Any, formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        return _along(M, _slope(squared, M, p, q, ans), g)

    def push_q(g: Any, ans: Any, formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        return _along(M, _slope(squared, M, q, p, ans), g)

    defvjp(distance, pull_p, pull_q, argnums=(3, 4))
    defjvp(distance, push_p, push_q, argnums=(3, 4))
    return distance


def _expand(g: Any, k: int) -> Any:
    """Like `expanded`, for cotangents, which autograd may hand over as plain numbers or boxes of them."""
    shape = getattr(g, "shape", ())
    return g if shape == () else namespace(g).reshape(g, tuple(shape) + (1,) * k)


def _jax_rule() -> Callable[..., Any]:
    import jax

    @functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
    def distance(formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        return formula(M, p, q)

    @distance.defjvp
    def push(formula: Any, squared: bool, M: Any, points: Any, directions: Any) -> Any:
        p, q = points
        value = distance(formula, squared, M, p, q)
        along_p = _along(M, _slope(squared, M, p, q, value), directions[0])
        along_q = _along(M, _slope(squared, M, q, p, value), directions[1])
        return value, along_p + along_q

    def call(formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        return distance(formula, squared, M, jax.numpy.asarray(p), jax.numpy.asarray(q))

    return call


def _torch_rule() -> Callable[..., Any]:
    import torch

    class Distance(torch.autograd.Function):
        """The distance with its log-based derivative."""

        generate_vmap_rule = True

        @staticmethod
        def forward(formula: Any, squared: bool, M: Any, p: Any, q: Any) -> Any:
            return formula(M, p, q)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            _, squared, M, p, q = inputs
            ctx.squared, ctx.M = squared, M
            ctx.save_for_backward(p, q, output)
            ctx.save_for_forward(p, q, output)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            p, q, value = ctx.saved_tensors
            g = _expand(g, len(ctx.M.point_shape))
            pulled = [
                (g * _slope(ctx.squared, ctx.M, x, y, value)).sum_to_size(x.shape) if needed else None
                for x, y, needed in ((p, q, ctx.needs_input_grad[3]), (q, p, ctx.needs_input_grad[4]))
            ]
            return None, None, None, *pulled

        @staticmethod
        def jvp(ctx: Any, _f: Any, _s: Any, _m: Any, dp: Any, dq: Any) -> Any:
            p, q, value = ctx.saved_tensors
            total = torch.zeros_like(value)
            if dp is not None:
                total = total + _along(ctx.M, _slope(ctx.squared, ctx.M, p, q, value), dp)
            if dq is not None:
                total = total + _along(ctx.M, _slope(ctx.squared, ctx.M, q, p, value), dq)
            return total

    def call(formula: Any, squared: bool, M: Any, p: Array, q: Array) -> Any:
        like = p if isinstance(p, torch.Tensor) else q
        p, q = (x if isinstance(x, torch.Tensor) else torch.as_tensor(x, device=like.device) for x in (p, q))
        return Distance.apply(formula, squared, M, p, q)

    return call
