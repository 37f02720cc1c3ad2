r"""Forward mode along many directions at once, on autograd's tracer.

autograd's own forward mode pushes one direction through the function, so that a Jacobian of k columns runs the function
k times. Here a box carries the k derivatives of its value in one array of shape ``(k, *shape)``, and each operation is
done once: a Jacobian costs one run, whatever k is.

A rule takes the operation's value, its arguments, and the derivatives of those arguments that carry some. There are
rules for the elementwise functions, for functions linear in the arguments that carry derivatives, for those linear in
each of them, and a few others. An operation without one raises `NotImplementedError`, and whoever asked takes another
road: a user's own primitives, for one, keep the rules that they were given.

References
----------
.. [1] A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, section 3.1 (vector mode).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.builtins import container_take
from autograd.core import JVPNode
from autograd.numpy import numpy_wrapper
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import Node, notrace_primitives

__all__ = ["VectorNode"]

Rule = Callable[[Any, tuple[Any, ...], dict[str, Any], tuple[int, ...], list[Any]], Any]
"""``rule(value, args, kwargs, argnums, gs)``: derivatives (k, *value.shape), from those, gs, of ``args[argnums]``."""


class VectorNode(Node):
    """What a box of autograd's carries here: k derivatives of its value.

    Attributes
    ----------
    g : array of shape (k, *shape)
    """

    __slots__ = ("g",)

    def __init__(
        self, value: Any, fun: Any, args: Any, kwargs: Any, parent_argnums: tuple[int, ...], parents: tuple[Any, ...]
    ) -> None:
        rule = _RULES.get(fun.fun)
        if rule is None:
            raise NotImplementedError(f"no rule for {getattr(fun, '__name__', fun)} along many directions")
        self.g = rule(value, args, kwargs, parent_argnums, [parent.g for parent in parents])

    def initialize_root(self, g: Any) -> None:
        """Begin with the derivatives of the variable."""
        self.g = g


# what autograd does not trace in its forward mode: comparisons, shapes, roundings
notrace_primitives[VectorNode] = notrace_primitives[JVPNode]


def _aligned(g: Any, ndim: int) -> Any:
    """Derivatives with axes of length 1 before those of the value, so that the value has ``ndim`` axes."""
    missing = ndim + 1 - g.ndim
    return g if missing <= 0 else g.reshape(g.shape[0], *(1,) * missing, *g.shape[1:])


def _full(g: Any, value: Any) -> Any:
    shape = (g.shape[0], *np.shape(value))
    return g if g.shape == shape else np.broadcast_to(g, shape)


def _elementwise(*partials: Any) -> Rule:
    """Rule of a function of numbers, from its partial derivatives ``partial(value, *args)``, or 1 or -1."""

    def rule(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
        if kwargs:  # ``where=``, ``out=``
            raise NotImplementedError("no rule for keywords of elementwise functions")
        ndim, total = np.ndim(value), None
        for i, g in zip(argnums, gs):
            partial = partials[i]
            term = _aligned(g, ndim)
            if callable(partial):
                term = term * partial(value, *args)
            elif partial != 1:
                term = partial * term
            total = term if total is None else total + term
        return _full(total, value)

    return rule


def _power_base(value: Any, x: Any, y: Any) -> Any:
    return y * x ** np.where(y, y - 1, 1.0) if not np.all(y) else y * x ** (y - 1)


def _power_exponent(value: Any, x: Any, y: Any) -> Any:
    return value * np.log(np.where(np.equal(x, 0.0), 1.0, x))


def _larger(value: Any, x: Any, y: Any) -> Any:
    equal, tie = np.equal(value, x), np.equal(x, y)
    return equal / (1.0 + tie)


def _other(value: Any, x: Any, y: Any) -> Any:
    return _larger(value, y, x)


def _sign(value: Any, x: Any) -> Any:
    if np.iscomplexobj(x):
        raise NotImplementedError("no rule for the modulus of complex numbers")
    return np.sign(x)


_LOG2, _LOG10 = float(np.log(2.0)), float(np.log(10.0))

_ELEMENTWISE: dict[str, tuple[Any, ...]] = {
    "add": (1, 1),
    "subtract": (1, -1),
    "multiply": (lambda v, x, y: y, lambda v, x, y: x),
    "true_divide": (lambda v, x, y: 1.0 / y, lambda v, x, y: -v / y),
    "power": (_power_base, _power_exponent),
    "arctan2": (lambda v, y, x: x / (x * x + y * y), lambda v, y, x: -y / (x * x + y * y)),
    "maximum": (_larger, _other),
    "minimum": (_larger, _other),
    "negative": (-1,),
    "absolute": (_sign,),
    "fabs": (_sign,),
    "exp": (lambda v, x: v,),
    "exp2": (lambda v, x: _LOG2 * v,),
    "expm1": (lambda v, x: v + 1.0,),
    "log": (lambda v, x: 1.0 / x,),
    "log1p": (lambda v, x: 1.0 / (x + 1.0),),
    "log2": (lambda v, x: 1.0 / (_LOG2 * x),),
    "log10": (lambda v, x: 1.0 / (_LOG10 * x),),
    "sqrt": (lambda v, x: 0.5 / v,),
    "square": (lambda v, x: 2.0 * x,),
    "reciprocal": (lambda v, x: -v * v,),
    "sin": (lambda v, x: np.cos(x),),
    "cos": (lambda v, x: -np.sin(x),),
    "tan": (lambda v, x: 1.0 + v * v,),
    "arcsin": (lambda v, x: 1.0 / np.sqrt((1.0 - x) * (1.0 + x)),),
    "arccos": (lambda v, x: -1.0 / np.sqrt((1.0 - x) * (1.0 + x)),),
    "arctan": (lambda v, x: 1.0 / (1.0 + x * x),),
    "sinh": (lambda v, x: np.cosh(x),),
    "cosh": (lambda v, x: np.sinh(x),),
    "tanh": (lambda v, x: 1.0 - v * v,),
    "arcsinh": (lambda v, x: 1.0 / np.sqrt(x * x + 1.0),),
    "arccosh": (lambda v, x: 1.0 / np.sqrt((x - 1.0) * (x + 1.0)),),
    "arctanh": (lambda v, x: 1.0 / ((1.0 - x) * (1.0 + x)),),
}


# keywords that add constants, or write elsewhere
_AFFINE = frozenset(("prepend", "append", "initial", "out", "where", "dtype"))


def _direction_by_direction(fun: Any) -> Rule:
    """Rule of a function linear in its only argument with derivatives, applied to each of them."""

    def rule(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
        if len(argnums) > 1 or not _AFFINE.isdisjoint(kwargs):
            raise NotImplementedError(f"no rule for this way to call {fun.__name__}")
        (i,), (g,) = argnums, gs
        columns = [fun(*args[:i], column, *args[i + 1 :], **kwargs) for column in g]
        return np.stack(columns) if columns else np.empty((0, *np.shape(value)))

    return rule


def _multilinear(fun: Any) -> Rule:
    """Rule of a function linear in each argument with derivatives: the sum over those, one at a time."""

    def rule(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
        one = _direction_by_direction(fun)
        return sum(one(value, args, kwargs, (i,), [g]) for i, g in zip(argnums, gs))

    return rule


def _same_order(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """Rule of what changes the shape, and leaves the entries in the order of C."""
    if "order" in kwargs or any(isinstance(a, str) for a in args[1:]):
        raise NotImplementedError("no rule for another order of entries")
    return gs[0].reshape(gs[0].shape[0], *np.shape(value))


def _indexed(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    g, index = gs[0], args[1]
    if argnums != (0,):
        raise NotImplementedError("no rule for an index with derivatives")
    parts = index if isinstance(index, tuple) else (index,)
    if sum(not (isinstance(part, int | np.integer | slice) or part is None or part is Ellipsis) for part in parts) > (
        len(parts) == 1
    ):
        # arrays among other indices: where their axes go changes with an axis before them
        return np.stack([column[index] for column in g])
    return g[(slice(None), *parts)]


def _summed(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    g = gs[0]
    axis = kwargs.get("axis", args[1] if len(args) > 1 else None)
    if len(args) > 2 or set(kwargs) - {"axis", "keepdims"}:
        raise NotImplementedError("no rule for this way to call sum")
    if axis is None:
        axes = tuple(range(1, g.ndim))
    else:
        axes = tuple(a + 1 if a >= 0 else a for a in (axis if isinstance(axis, tuple) else (axis,)))
    return np.sum(g, axis=axes, keepdims=kwargs.get("keepdims", False))


def _averaged(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    ratio = np.size(value) / max(np.size(args[0]), 1)
    return _summed(value, args, kwargs, argnums, gs) * ratio


def _transposed(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    n = np.ndim(args[0])
    axes = kwargs.get("axes", args[1] if len(args) > 1 else None)
    axes = tuple(range(n))[::-1] if axes is None else tuple(int(a) % n for a in axes)
    return np.transpose(gs[0], (0, *(a + 1 for a in axes)))


def _selected(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    if argnums[0] == 0:
        raise NotImplementedError("no rule for a condition with derivatives")
    where, ndim = args[0], np.ndim(value)
    total: Any = 0.0
    for i, g in zip(argnums, gs):
        g = _aligned(g, ndim)
        total = total + (np.where(where, g, 0.0) if i == 1 else np.where(where, 0.0, g))
    return _full(total, value)


def _clipped(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    if argnums != (0,):
        raise NotImplementedError("no rule for bounds with derivatives")
    return _full(_aligned(gs[0], np.ndim(value)) * np.equal(value, args[0]), value)


def _array(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``array_from_args(options, keywords, *entries)``: the entries along a new first axis."""
    if args[0] or args[1]:
        raise NotImplementedError("no rule for options of array")
    G = np.zeros((gs[0].shape[0], *value.shape), value.dtype)
    for i, g in zip(argnums, gs):
        G[:, i - 2] = g
    return G


def _copied(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``_array_from_scalar_or_array(options, keywords, x)``: x, maybe with more axes."""
    if args[0] or set(args[1]) - {"ndmin"}:
        raise NotImplementedError("no rule for options of array")
    return gs[0].reshape(gs[0].shape[0], *np.shape(value))


def _concatenated(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``concatenate_args(axis, *arrays)``."""
    axis = 0 if args[0] is None else args[0] % np.ndim(value)
    G = np.zeros((gs[0].shape[0], *value.shape), value.dtype)
    ends = np.cumsum([np.size(a) if args[0] is None else np.shape(a)[axis] for a in args[1:]])
    starts = [0, *ends[:-1]]
    for i, g in zip(argnums, gs):
        if args[0] is None:
            g = g.reshape(g.shape[0], -1)
        G[(slice(None),) * (axis + 1) + (slice(starts[i - 1], ends[i - 1]),)] = g
    return G


def _split(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``split(x, sections, axis)``: a list of derivatives for a list of values."""
    axis = kwargs.get("axis", args[2] if len(args) > 2 else 0)
    return np.array_split(gs[0], args[1], axis=axis + 1 if axis >= 0 else axis)


def _taken(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """One entry of a list."""
    return gs[0][args[1]]


def _matrix_product(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    A, B = args
    if kwargs or min(np.ndim(A), np.ndim(B)) < 2:
        return _multilinear(np.matmul)(value, args, kwargs, argnums, gs)
    ndim = np.ndim(value)
    terms = [_aligned(g, ndim) @ B if i == 0 else A @ _aligned(g, ndim) for i, g in zip(argnums, gs)]
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _cross_product(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    if kwargs or len(args) > 2 or np.shape(args[0])[-1:] != np.shape(args[1])[-1:]:
        return _multilinear(np.cross)(value, args, kwargs, argnums, gs)
    a, b = args
    ndim = max(np.ndim(a), np.ndim(b))
    terms = [np.cross(_aligned(g, ndim), b) if i == 0 else np.cross(a, _aligned(g, ndim)) for i, g in zip(argnums, gs)]
    return _full(terms[0] if len(terms) == 1 else terms[0] + terms[1], value)


def _einstein_sum(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``einsum("...->...", A, B)`` with a letter more for the direction, which leaves most of the work to BLAS."""
    spec = args[0]
    if kwargs or not isinstance(spec, str) or "->" not in spec or "." in spec or "Z" in spec:
        return _multilinear(np.einsum)(value, args, kwargs, argnums, gs)
    inputs, output = spec.split("->")
    total = None
    for i, g in zip(argnums, gs):
        letters = inputs.split(",")
        letters[i - 1] = "Z" + letters[i - 1].strip()
        operands = [*args[1:i], g, *args[i + 1 :]]
        term = np.einsum(",".join(letters) + "->Z" + output.strip(), *operands, optimize=len(operands) > 1)
        total = term if total is None else total + term
    return total


def _euclidean_norm(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``linalg.norm(x, ord, axis)`` where it is a root of a sum of squares."""
    order = kwargs.get("ord", args[1] if len(args) > 1 else None)
    axis = kwargs.get("axis", args[2] if len(args) > 2 else None)
    keepdims = kwargs.get("keepdims", args[3] if len(args) > 3 else False)
    vector = np.ndim(args[0]) == 1 if axis is None else isinstance(axis, int | np.integer)
    if np.iscomplexobj(args[0]) or not (order is None or (order == 2 and vector) or (order == "fro" and not vector)):
        raise NotImplementedError("no rule for this norm")
    inner = _summed(None, (args[0],), {"axis": axis, "keepdims": keepdims}, argnums, [gs[0] * args[0]])
    return inner / value


def _inverse(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    return -(value @ gs[0] @ value)


def _solved(value: Any, args: Any, kwargs: Any, argnums: Any, gs: Any) -> Any:
    """``linalg.solve(A, b)`` for matrices, with a vector or columns."""
    A = args[0]
    if np.ndim(A) != 2:
        raise NotImplementedError("no rule for stacks of linear systems")
    right: Any = 0.0
    for i, g in zip(argnums, gs):
        right = right + (g if i == 1 else -(g @ value))
    return np.stack([np.linalg.solve(A, column) for column in right])


def _table() -> dict[Any, Rule]:
    """The rules by the functions of NumPy that autograd wraps."""
    rules: dict[Any, Rule] = {getattr(np, name): _elementwise(*partials) for name, partials in _ELEMENTWISE.items()}
    for name in "reshape ravel squeeze expand_dims atleast_1d atleast_2d atleast_3d".split():
        rules[getattr(np, name)] = _same_order
    for name in """
        moveaxis swapaxes rollaxis roll flip flipud fliplr rot90 repeat tile diff cumsum trace diag diagonal tril triu
        real broadcast_to
    """.split():
        rules[getattr(np, name)] = _direction_by_direction(getattr(np, name))
    for name in "dot tensordot inner outer kron".split():
        rules[getattr(np, name)] = _multilinear(getattr(np, name))
    rules |= {
        np.sum: _summed,
        np.mean: _averaged,
        np.transpose: _transposed,
        np.matmul: _matrix_product,
        np.einsum: _einstein_sum,
        np.cross: _cross_product,
        np.split: _split,
        np.array_split: _split,
        container_take.fun: _taken,
        np.where: _selected,
        np.clip: _clipped,
        np.linalg.norm: _euclidean_norm,
        np.linalg.inv: _inverse,
        np.linalg.solve: _solved,
        numpy_wrapper.array_from_args.fun: _array,
        numpy_wrapper._array_from_scalar_or_array.fun: _copied,
        numpy_wrapper.concatenate_args.fun: _concatenated,
        ArrayBox.__getitem__.fun: _indexed,
    }
    return rules


_RULES = _table()
