"""Derivatives by autograd (https://github.com/HIPS/autograd), whose tape is used directly.

`autograd.grad` and its like trace the function anew in each call and warn about constant functions; here one trace
gives value and gradient, and the trace of the gradient is kept for all Hessian products at a point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import autograd.numpy as anp
import numpy as np
from autograd.core import JVPNode, VJPNode, backward_pass, vspace
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import trace_stack

from ..linalg import Array
from .backend import MANY_COLUMNS, AutomaticBackend, Backend, Cost, Linearization, cannot
from .values import as_cost, as_residuals
from .vector_mode import VectorNode

__all__ = ["AutogradBackend"]

_ENTRIES = 2**21  # derivatives of one value held at once


@dataclass(frozen=True)
class AutogradBackend(AutomaticBackend):
    """Reverse and forward mode by autograd; the function is written with NumPy or ``autograd.numpy``.

    Jacobians of up to m columns (or 32) take one run of the function, which carries all columns along
    (`manifold_opt.autodiff.vector_mode`); where it uses an operation without a rule for that, a run per column, or,
    where autograd lacks a forward rule, the derivative of the reverse pass. Wider ones take m reverse passes on one
    tape.
    """

    name: ClassVar[str] = "autograd"

    def probe(self, f: Callable[[Any], Any], p: Array) -> Backend:  # noqa: D102
        try:
            self.trace(f, p)
        except Exception as error:  # whatever a function does to a box that it cannot be asked
            raise cannot(self.name, error) from error
        return self

    @staticmethod
    def trace(f: Callable[[Any], Any], p: Array) -> Any:
        """Run ``f`` on a traced point and return its plain value; raises whatever f raises there."""
        return _reverse_tape(f, p)[0]

    def storage_gradient(self, f: Cost) -> Callable[[Array], tuple[float, Array]]:  # noqa: D102
        def gradient(p: Array) -> tuple[float, Array]:
            value, end = _reverse_tape(f, p)
            return as_cost(value), _clean(_pull_one(end, value, p), p)

        return gradient

    def storage_hessian(  # noqa: D102
        self, f: Cost
    ) -> Callable[[Array], tuple[Array, Callable[[Array], Array]]]:
        def gradient(p: Any) -> Any:
            value, end = _reverse_tape(f, p)
            return _pull_one(end, value, p)

        def hessian(p: Array) -> tuple[Array, Callable[[Array], Array]]:
            G, end = _reverse_tape(gradient, p)
            # On the conjugate of G, real symmetry of the Hessian makes the pulled back covector conj(H V).
            return _clean(G, p), lambda V: _clean(_pull(end, V, p), p)

        return hessian

    def linearize(self, r: Callable[[Any], Any]) -> Callable[[Array], Linearization]:  # noqa: D102
        rules = _Rules()
        return lambda p: _AutogradLinearization(r, p, rules)


@dataclass
class _Rules:
    """Which rules there are for all that a residual does; found out at its first Jacobian."""

    vector: bool = True  # along many directions at once
    forward: bool = True  # along one


class _AutogradLinearization(Linearization):
    """The tape is made when it is needed: forward mode does without, and brings the residuals along."""

    @property
    def wide(self) -> int:
        return MANY_COLUMNS if self.rules.vector else 0

    def __init__(self, r: Callable[[Any], Any], p: Array, rules: _Rules) -> None:
        self.r, self.p, self.rules = r, p, rules
        self.raw: Any = None  # what r returned, in its own shape
        self.end: Any = None
        self.taped = False

    def tape(self) -> None:
        if not self.taped:
            self.raw, self.end = _reverse_tape(self.r, self.p)
            self.taped = True

    @property
    def values(self) -> Array:
        if self.raw is None:
            self.tape()
        return as_residuals(self.raw)

    def pull(self, W: Array) -> Array:
        self.tape()
        G = np.empty((len(W), *self.p.shape), dtype=self.p.dtype)
        for g, w in zip(G, W, strict=True):
            g[...] = _clean(_pull(self.end, w.reshape(np.shape(self.raw)), self.p), self.p)
        return G

    def push(self, V: Array) -> Array:
        if self.rules.vector:
            try:
                return self._at_once(V)
            except NotImplementedError:
                self.rules.vector = False
        if self.rules.forward:
            try:
                return self._columns(self._forward, V)
            except NotImplementedError:
                self.rules.forward = False
        return self._columns(self._transposed(), V)

    def _at_once(self, V: Array) -> Array:
        # bounded memory: the derivatives of each intermediate value are kept along so many directions at once
        k = max(1, _ENTRIES // max(1, self.p.size, 0 if self.raw is None else np.size(self.raw)))
        if len(V) <= k:
            return self._block(V)
        return np.concatenate([self._block(V[i : i + k]) for i in range(0, len(V), k)], axis=1)

    def _block(self, V: Array) -> Array:
        self.raw, end = _trace(self.r, self.p, VectorNode.new_root(V))
        m = np.size(self.raw)
        return np.zeros((m, len(V))) if end is None else end.g.reshape(len(V), m).T

    def _columns(self, along: Callable[[Array], Any], V: Array) -> Array:
        columns = [np.reshape(along(v), -1) for v in V]
        return np.stack(columns, axis=1) if columns else np.empty((len(self.values), 0))

    def _forward(self, v: Array) -> Any:
        self.raw, end = _trace(self.r, self.p, JVPNode.new_root(v))
        return np.zeros(np.shape(self.raw)) if end is None else end.g

    def _transposed(self) -> Callable[[Array], Any]:
        # w -> J'w is linear, so its own reverse pass is v -> Jv at any w (J. Townsend, "A new trick for calculating
        # Jacobian vector products", 2017); it needs reverse rules only, which autograd has for linear algebra too.
        self.tape()
        w0 = np.zeros(np.shape(self.raw), dtype=np.result_type(self.raw))
        _, tape = _reverse_tape(lambda w: _pull(self.end, w, self.p), w0)
        return lambda v: _pull(tape, v, w0)


def _reverse_tape(f: Callable[[Any], Any], p: Any) -> tuple[Any, Any]:
    return _trace(f, p, VJPNode.new_root())


def _trace(f: Callable[[Any], Any], p: Any, root: Any) -> tuple[Any, Any]:
    """Value of f(p), and the end of its tape: None where the value does not depend on p.

    Does what ``autograd.tracer.trace`` does, but leaves autograd's stack of traces in order when f raises, and lets
    constant functions pass in silence: the safeguards decide about them.
    """
    trace_stack.top += 1
    trace = trace_stack.top
    try:
        out = f(ArrayBox(p, trace, root))
        if type(out) is not ArrayBox:
            out = _boxed(out)
    finally:
        trace_stack.top = trace - 1
    if type(out) is ArrayBox and out._trace == trace:
        return out._value, out._node
    return out, None


def _boxed(out: Any) -> Any:
    """Make one box of a list, or of an object array that plain NumPy built from boxes."""
    if isinstance(out, list | tuple):
        parts = [anp.ravel(_boxed(part)) for part in out]
        return anp.concatenate(parts) if parts else np.zeros(0)
    if isinstance(out, np.ndarray) and out.dtype == object:
        return anp.reshape(anp.array(list(out.reshape(-1))), out.shape)
    return out


def _pull_one(end: Any, value: Any, p: Any) -> Any:
    # NumPy's own scalars are the common case, and their type is made faster than an array
    one = type(value)(1.0) if isinstance(value, np.floating) else np.ones(np.shape(value), np.result_type(value))
    return _pull(end, one, p)


def _pull(end: Any, w: Any, p: Any) -> Any:
    return vspace(p).zeros() if end is None else backward_pass(w, end)


def _clean(G: Any, p: Array) -> Array:
    """Bring autograd's derivative to the convention df = Re<G, dp>, of which it returns the conjugate."""
    if p.dtype.kind == "c":
        G = np.conj(G)
    elif G.dtype.kind == "c":
        G = G.real
    return G if G.dtype == p.dtype else G.astype(p.dtype)
