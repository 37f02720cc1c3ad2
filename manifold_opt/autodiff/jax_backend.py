"""Derivatives by JAX, compiled; NumPy arrays in and out. JAX is imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg import Array
from .backend import AutomaticBackend, Backend, Cost, Linearization, cannot, import_extra
from .values import as_cost, as_residuals

__all__ = ["JaxBackend"]


@dataclass(frozen=True)
class JaxBackend(AutomaticBackend):
    """Forward and reverse mode by JAX.

    Parameters
    ----------
    jit : bool
        Compile. Functions that cannot be compiled, since they branch on values, are found out at the first point and
        then run as they are, an order of magnitude slower. Default True.

    Notes
    -----
    Computations run in the precision of the point: double for float64 points, whatever JAX's own default is.
    """

    jit: bool = True

    name: ClassVar[str] = "jax"

    def probe(self, f: Callable[[Any], Any], p: Array) -> Backend:  # noqa: D102
        jax = import_extra("jax", self.name)
        last: Exception | None = None
        for backend in (self, JaxBackend(jit=False)) if self.jit else (self,):
            try:
                with _precision(p):
                    backend._compiled(lambda q: jax.vjp(_array(f), q)[0])(jax.numpy.asarray(p))
                return backend
            except Exception as error:  # JAX has many; what matters is whether the next way works
                last = error
        raise cannot(self.name, last) from last

    def value(self, f: Cost) -> Callable[[Array], float]:  # noqa: D102
        return self._call(_array(f), as_cost)

    def values(self, r: Callable[[Any], Any]) -> Callable[[Array], Array]:  # noqa: D102
        return self._call(_array(r), as_residuals)

    def storage_gradient(self, f: Cost) -> Callable[[Array], tuple[float, Array]]:  # noqa: D102
        jax = import_extra("jax", self.name)
        call = self._call(jax.value_and_grad(_scalar(f)))

        def gradient(p: Array) -> tuple[float, Array]:
            value, G = call(p)
            return as_cost(value), _conjugate(G, p)

        return gradient

    def storage_hessian(  # noqa: D102
        self, f: Cost
    ) -> Callable[[Array], tuple[Array, Callable[[Array], Array]]]:
        jax = import_extra("jax", self.name)
        grad = jax.grad(_scalar(f))
        # compiled forward over reverse is as fast as a kept tape, and needs no memory between products
        along = self._call(lambda p, V: jax.jvp(grad, (p,), (V,))[1])
        gradient = self._call(grad)

        def hessian(p: Array) -> tuple[Array, Callable[[Array], Array]]:
            return _conjugate(gradient(p), p), lambda V: _conjugate(along(p, V), p)

        return hessian

    def linearize(self, r: Callable[[Any], Any]) -> Callable[[Array], Linearization]:  # noqa: D102
        jax = import_extra("jax", self.name)
        flat = _array(r)

        def push(p: Any, V: Any) -> Any:
            values, column = jax.vmap(lambda v: jax.jvp(flat, (p,), (v,)), out_axes=(None, -1))(V)
            return values, column

        def pull(p: Any, W: Any) -> Any:
            _, back = jax.vjp(flat, p)
            return jax.vmap(lambda w: back(w)[0])(W)

        calls = self._call(flat), self._call(push), self._call(pull)
        return lambda p: _JaxLinearization(p, *calls)

    def _compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return import_extra("jax", self.name).jit(f) if self.jit else f

    def _call(self, f: Callable[..., Any], convert: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
        """Compile f, and give it the precision of its first argument."""
        compiled, asarray = self._compiled(f), import_extra("jax", self.name).numpy.asarray

        def call(*arrays: Array) -> Any:
            with _precision(arrays[0]):
                # compiled functions take NumPy's arrays, ten times as fast as asarray converts them
                out = compiled(*(arrays if self.jit else map(asarray, arrays)))
                return out if convert is None else convert(out)

        return call


class _JaxLinearization(Linearization):
    def __init__(self, p: Array, flat: Callable[..., Any], push: Callable[..., Any], pull: Callable[..., Any]) -> None:
        self.p, self.flat, self._push, self._pull = p, flat, push, pull
        self._values: Any = None

    @property
    def values(self) -> Array:
        if self._values is None:
            self._values = np.asarray(self.flat(self.p))
        return self._values

    def push(self, V: Array) -> Array:
        values, J = self._push(self.p, V)
        self._values = np.asarray(values)
        return np.asarray(J)

    def pull(self, W: Array) -> Array:
        return _conjugate(self._pull(self.p, W), self.p)


def _array(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make one flat array of what f returns."""
    from jax import numpy as jnp

    def flat(p: Any) -> Any:
        value = f(p)
        if isinstance(value, list | tuple):
            return jnp.concatenate([jnp.ravel(jnp.asarray(part)) for part in value])
        return jnp.ravel(jnp.asarray(value))

    return flat


def _scalar(f: Cost) -> Callable[[Any], Any]:
    from jax import numpy as jnp

    def scalar(p: Any) -> Any:
        value = jnp.asarray(f(p))
        return value.reshape(()) if value.size == 1 else as_cost(np.empty(value.shape))  # the latter raises

    return scalar


def _conjugate(G: Any, p: Array) -> Array:
    """Bring JAX's derivative to the convention df = Re<G, dp>, of which it returns the conjugate."""
    G = np.asarray(G)
    return np.conj(G) if p.dtype.kind == "c" else G


def _precision(p: Array) -> AbstractContextManager[Any]:
    """Let JAX compute in the precision of ``p``, here only: its own switch is global."""
    jax = import_extra("jax", "jax")
    double = p.dtype.itemsize // (2 if p.dtype.kind == "c" else 1) >= 8
    if callable(getattr(jax, "enable_x64", None)):
        return jax.enable_x64(double)
    from jax.experimental import enable_x64  # its place before JAX 0.8

    return enable_x64(double)
