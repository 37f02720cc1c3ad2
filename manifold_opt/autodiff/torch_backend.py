"""Derivatives by PyTorch; NumPy arrays in and out. PyTorch is imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg import Array
from .backend import AutomaticBackend, Backend, Cost, Linearization, cannot, import_extra
from .values import as_cost, as_residuals

__all__ = ["TorchBackend"]


@dataclass(frozen=True)
class TorchBackend(AutomaticBackend):
    """Reverse mode by PyTorch, on one graph per point.

    Jacobians take ``min(dim, m)`` passes: derivatives along directions are those of the reverse pass with respect to
    its covector, which needs no forward rules.

    Parameters
    ----------
    device : str, optional
        Where the function's argument is put, such as ``"cuda"``. Default: the CPU.
    """

    device: str | None = None

    name: ClassVar[str] = "torch"

    def probe(self, f: Callable[[Any], Any], p: Array) -> Backend:  # noqa: D102
        import_extra("torch", self.name)
        try:
            value = _flat(f(self._leaf(p)))
        except Exception as error:  # whatever it is, it is the reason
            raise cannot(self.name, error) from error
        if not hasattr(value, "requires_grad"):
            raise cannot(self.name, f"it returned {type(value).__name__}, not a tensor")
        return self

    def value(self, f: Cost) -> Callable[[Array], float]:  # noqa: D102
        return lambda p: as_cost(f(self._tensor(p)))

    def values(self, r: Callable[[Any], Any]) -> Callable[[Array], Array]:  # noqa: D102
        return lambda p: as_residuals(_flat(r(self._tensor(p))))

    def storage_gradient(self, f: Cost) -> Callable[[Array], tuple[float, Array]]:  # noqa: D102
        def gradient(p: Array) -> tuple[float, Array]:
            q = self._leaf(p)
            value = f(q)
            cost = as_cost(value)
            return cost, _numpy(_pull(value.reshape(()), q), p)

        return gradient

    def storage_hessian(  # noqa: D102
        self, f: Cost
    ) -> Callable[[Array], tuple[Array, Callable[[Array], Array]]]:
        def hessian(p: Array) -> tuple[Array, Callable[[Array], Array]]:
            q = self._leaf(p)
            G = _pull(f(q).reshape(()), q, create_graph=True)
            # PyTorch pairs derivatives by Re<., .>, so the symmetric Hessian is its own transpose
            return _numpy(G, p), lambda V: _numpy(_pull(G, q, self._tensor(V), retain_graph=True), p)

        return hessian

    def linearize(self, r: Callable[[Any], Any]) -> Callable[[Array], Linearization]:  # noqa: D102
        return lambda p: _TorchLinearization(self, r, p)

    def _tensor(self, p: Array) -> Any:
        torch = import_extra("torch", self.name)
        return torch.tensor(p, device=self.device)  # a copy: NumPy's may be read-only, and f may write into its own

    def _leaf(self, p: Array) -> Any:
        return self._tensor(p).requires_grad_()


class _TorchLinearization(Linearization):
    def __init__(self, backend: TorchBackend, r: Callable[[Any], Any], p: Array) -> None:
        self.backend, self.p = backend, p
        self.q = backend._leaf(p)
        self.out = _flat(r(self.q))

    @property
    def values(self) -> Array:
        return as_residuals(self.out)

    def pull(self, W: Array) -> Array:
        rows = [_pull(self.out, self.q, self._like(w), retain_graph=True) for w in W]
        return np.stack([_numpy(row, self.p) for row in rows])

    def push(self, V: Array) -> Array:
        # w -> J'w is linear, so its own reverse pass is v -> Jv (J. Townsend, 2017, see autograd_backend.py)
        w0 = self._like(np.zeros(len(self.out))).requires_grad_()
        G = _pull(self.out, self.q, w0, create_graph=True)
        columns = [_pull(G, w0, self.backend._tensor(v), retain_graph=True) for v in V]
        return np.stack([as_residuals(column) for column in columns], axis=1)

    def _like(self, w: Array) -> Any:
        return self.backend._tensor(w).to(self.out.dtype)


def _flat(value: Any) -> Any:
    import torch

    if isinstance(value, list | tuple):
        return torch.cat([torch.as_tensor(part).reshape(-1) for part in value])
    return value.reshape(-1) if isinstance(value, torch.Tensor) else value


def _pull(out: Any, q: Any, w: Any = None, **options: bool) -> Any:
    import torch

    if not out.requires_grad:  # constant
        return torch.zeros_like(q)
    (G,) = torch.autograd.grad(out, q, w, allow_unused=True, **options)
    return torch.zeros_like(q) if G is None else G


def _numpy(G: Any, p: Array) -> Array:
    return G.detach().cpu().numpy().astype(p.dtype, copy=False)
