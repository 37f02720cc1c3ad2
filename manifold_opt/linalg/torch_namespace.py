"""PyTorch under NumPy's classic names: only what differs is written here, all else is ``torch`` itself."""

from __future__ import annotations

from typing import Any

import torch

array = asarray = torch.as_tensor
linalg = torch.linalg


def __getattr__(name: str) -> Any:
    return getattr(torch, name)


def _tensor(x: Any, like: Any) -> Any:
    return x if isinstance(x, torch.Tensor) else torch.as_tensor(x, dtype=like.dtype, device=like.device)


def maximum(x: Any, y: Any) -> Any:
    """Elementwise maximum; one of the two may be a number."""
    like = x if isinstance(x, torch.Tensor) else y
    return torch.maximum(_tensor(x, like), _tensor(y, like))


def minimum(x: Any, y: Any) -> Any:
    """Elementwise minimum; one of the two may be a number."""
    like = x if isinstance(x, torch.Tensor) else y
    return torch.minimum(_tensor(x, like), _tensor(y, like))


def arctan2(y: Any, x: Any) -> Any:
    """Angle of ``(x, y)``; one of the two may be a number."""
    like = x if isinstance(x, torch.Tensor) else y
    return torch.arctan2(_tensor(y, like), _tensor(x, like))


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Maximum along ``axis`` as values alone, without positions."""
    return torch.amax(x, dim=() if axis is None else axis, keepdim=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Minimum along ``axis`` as values alone, without positions."""
    return torch.amin(x, dim=() if axis is None else axis, keepdim=keepdims)


def imag(x: Any) -> Any:
    """Imaginary part, zero for real tensors."""
    return torch.imag(x) if torch.is_complex(x) else torch.zeros_like(x)


def iscomplexobj(x: Any) -> bool:
    """Whether the tensor has a complex type."""
    return torch.is_complex(x)
