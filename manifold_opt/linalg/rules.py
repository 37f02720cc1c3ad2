"""Derivative rules of our own, stated once and handed to autograd, JAX and PyTorch on first use.

A function with a rule gets plain arrays of its library and may branch on values under NumPy. Its rules are
written in functions that have rules in turn, so second derivatives follow by themselves.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace

Function = Callable[..., Array]


def differentiable(vjps: tuple[Function, ...], jvps: tuple[Function, ...]) -> Callable[[Function], Any]:
    """Give a function its derivative rules, one pair per positional array argument.

    Parameters
    ----------
    vjps : tuple of callable
        ``vjps[i](G, value, *arguments, **keywords)`` returns the cotangent of argument i for the cotangent G
        of the value.
    jvps : tuple of callable
        ``jvps[i](E, value, *arguments, **keywords)`` returns the derivative of the value along the direction
        E of argument i.

    Returns
    -------
    callable
        A decorator. The positional arguments of the function are arrays of one batch shape, its keywords
        constants.
    """

    def decorate(forward: Function) -> Function:
        bridges: dict[Any, Function] = {np: forward}

        @functools.wraps(forward)
        def call(*arrays: Array, **keywords: Any) -> Array:
            xp = namespace(*arrays)
            bridge = bridges.get(xp)
            if bridge is None:
                bridge = bridges[xp] = _BRIDGES[xp.__name__](forward, vjps, jvps)
            return bridge(*arrays, **keywords)

        return call

    return decorate


def pulled(rule: Function) -> Function:
    """A reverse rule from an adjoint: autograd and JAX carry conjugate cotangents, PyTorch plain ones."""

    def vjp(G: Array, value: Array, *arrays: Array, **keywords: Any) -> Array:
        xp = namespace(G, value, *arrays)
        like = G if value is None else value  # a transposition of JAX knows no value
        if xp.__name__.endswith("torch_namespace") or "complex" not in str(like.dtype):
            return rule(G, value, *arrays, **keywords)
        return xp.conj(rule(xp.conj(G), value, *arrays, **keywords))

    vjp.__dict__["of_adjoint"] = True
    return vjp


def _plain_cotangent(rule: Function) -> Function:
    """For PyTorch, the rule of a holomorphic function, which is stated with transposes as autograd and JAX want it."""
    if getattr(rule, "of_adjoint", False):
        return rule

    def vjp(G: Array, value: Array, *arrays: Array, **keywords: Any) -> Array:
        if not value.is_complex():
            return rule(G, value, *arrays, **keywords)
        return rule(G.conj(), value, *arrays, **keywords).conj().resolve_conj()

    return vjp


def _bridge_autograd(forward: Function, vjps: Any, jvps: Any) -> Function:
    from autograd.extend import defjvp, defvjp, primitive

    wrapped = primitive(forward)

    def make_vjp(rule: Function) -> Any:
        return lambda value, *arrays, **keywords: lambda G: rule(G, value, *arrays, **keywords)

    defvjp(wrapped, *map(make_vjp, vjps))
    defjvp(wrapped, *jvps)
    return wrapped


def _bridge_jax(forward: Function, vjps: Any, jvps: Any) -> Function:
    """A primitive of JAX: `jax.custom_jvp` transposes the plain formula in reverse mode, without second-order rules."""
    import jax.numpy as jnp

    @functools.cache
    def specialize(items: tuple[tuple[str, Any], ...]) -> Any:
        return _jax_primitive(functools.partial(forward, **dict(items)), vjps, jvps, dict(items))

    def call(*arrays: Array, **keywords: Any) -> Array:
        dtype = jnp.result_type(*arrays)
        return specialize(tuple(sorted(keywords.items()))).bind(*(jnp.asarray(x, dtype) for x in arrays))

    return call


def _jax_primitive(forward: Function, vjps: Any, jvps: Any, keywords: dict[str, Any]) -> Any:
    import jax
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    primitive = Primitive("manifold_opt_rule")

    def abstract(*arrays: Any) -> Any:
        value = jax.eval_shape(forward, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays))
        return jax.core.ShapedArray(value.shape, value.dtype)

    def push(arrays: Any, tangents: Any) -> Any:
        value = primitive.bind(*arrays)
        pairs = [(jvp, E) for jvp, E in zip(jvps, tangents, strict=True) if type(E) is not ad.Zero]
        return value, functools.reduce(operator.add, [jvp(E, value, *arrays, **keywords) for jvp, E in pairs])

    def pull(G: Any, *arrays: Any) -> Any:
        # Only for arguments in which the function is linear: their rules need neither value nor argument.
        known = [None if ad.is_undefined_primal(x) else x for x in arrays]
        return [
            vjp(G, None, *known, **keywords) if x is None else None
            for vjp, x in zip(vjps, known, strict=True)
        ]

    def batch(arrays: Any, axes: Any) -> Any:
        size = next(x.shape[axis] for x, axis in zip(arrays, axes, strict=True) if axis is not None)
        front = [
            jax.numpy.broadcast_to(x, (size, *x.shape)) if axis is None else jax.numpy.moveaxis(x, axis, 0)
            for x, axis in zip(arrays, axes, strict=True)
        ]
        return primitive.bind(*front), 0

    primitive.def_impl(jax.jit(forward))
    primitive.def_abstract_eval(abstract)
    mlir.register_lowering(primitive, mlir.lower_fun(forward, multiple_results=False))
    ad.primitive_jvps[primitive] = push
    ad.primitive_transposes[primitive] = pull
    batching.primitive_batchers[primitive] = batch
    return primitive


def _bridge_torch(forward: Function, vjps: Any, jvps: Any) -> Function:
    import torch

    vjps = tuple(map(_plain_cotangent, vjps))

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, items: Any, *arrays: Any) -> Any:
            value = forward(*arrays, **dict(items))
            ctx.items = items
            ctx.save_for_backward(value, *arrays)
            ctx.save_for_forward(value, *arrays)
            return value

        @staticmethod
        def backward(ctx: Any, G: Any) -> Any:
            value, *arrays = ctx.saved_tensors
            needed = ctx.needs_input_grad[1:]
            return None, *(
                rule(G, value, *arrays, **dict(ctx.items)) if need else None
                for rule, need in zip(vjps, needed, strict=True)
            )

        @staticmethod
        def jvp(ctx: Any, _: Any, *directions: Any) -> Any:
            value, *arrays = ctx.saved_tensors
            parts = [
                rule(E, value, *arrays, **dict(ctx.items))
                for rule, E in zip(jvps, directions, strict=True)
                if E is not None
            ]
            return functools.reduce(operator.add, parts)

    return lambda *arrays, **keywords: Rule.apply(
        tuple(sorted(keywords.items())), *map(torch.as_tensor, arrays)
    )


_BRIDGES = {
    "autograd.numpy": _bridge_autograd,
    "jax.numpy": _bridge_jax,
    "manifold_opt.linalg.torch_namespace": _bridge_torch,
}
