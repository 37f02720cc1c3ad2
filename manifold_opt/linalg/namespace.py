"""One formula, any array: the array namespace that a set of arguments calls for.

NumPy arrays, autograd boxes, JAX arrays and tracers, and PyTorch tensors are told apart by the module of
their type, which costs a dictionary look-up and imports nothing that the caller had not imported already.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

Array = Any
"""An array of any supported library; leading axes are batch axes."""

_MODULES = {
    "autograd": "autograd.numpy",
    "jax": "jax.numpy",
    "jaxlib": "jax.numpy",
    "torch": "manifold_opt.linalg.torch_namespace",
}
_BY_TYPE: dict[type, Any] = {
    np.ndarray: np,
    float: np,
    int: np,
    bool: np,
    complex: np,
    list: np,
    tuple: np,
    type(None): np,
}


def namespace(*arrays: Array) -> Any:
    """Return the module whose functions the arguments share: ``numpy``, ``autograd.numpy``, ``jax.numpy`` or PyTorch's.

    Parameters
    ----------
    *arrays : array_like
        Numbers, lists and NumPy arrays go along with every other library.

    Returns
    -------
    module
        With NumPy's classic function names and ``axis=`` by keyword.

    Raises
    ------
    TypeError
        When two libraries that cannot be mixed meet, such as JAX and PyTorch.
    """
    found = np
    for x in arrays:
        if type(x) is np.ndarray:
            continue
        xp = _BY_TYPE.get(type(x)) or _learn(type(x))
        if xp is np or xp is found:
            continue
        if found is not np:
            raise TypeError(
                f"arrays of {found.__name__} and {xp.__name__} cannot be mixed; convert one of them first"
            )
        found = xp
    return found


def _learn(kind: type) -> Any:
    roots = (base.__module__.partition(".")[0] for base in kind.__mro__)
    module = next((_MODULES[root] for root in roots if root in _MODULES), None)
    xp = np if module is None else importlib.import_module(module)
    _BY_TYPE[kind] = xp
    return xp


def is_numpy(*arrays: Array) -> bool:
    """Say whether every argument is exactly a NumPy array (the road with ``out=`` and Python floats)."""
    for x in arrays:
        if type(x) is not np.ndarray:
            return False
    return True


def transpose(A: Array) -> Array:
    """Swap the last two axes."""
    return A.swapaxes(-1, -2)


def adjoint(A: Array) -> Array:
    """Conjugate transpose over the last two axes; of a real NumPy array a view."""
    if type(A) is np.ndarray and A.dtype.kind != "c":
        return A.swapaxes(-1, -2)
    return namespace(A).conj(A.swapaxes(-1, -2))


def broadcast_batch(core: int, *arrays: Array) -> tuple[Array, ...]:
    """Broadcast the leading axes of the arguments against each other and leave the last ``core`` axes alone."""
    shapes = [tuple(x.shape[: len(x.shape) - core]) for x in arrays]
    if all(shape == shapes[0] for shape in shapes):
        return arrays
    batch = np.broadcast_shapes(*shapes)
    return tuple(
        x if shape == batch else _expand(x, batch, core) for x, shape in zip(arrays, shapes, strict=True)
    )


def _expand(x: Array, batch: tuple[int, ...], core: int) -> Array:
    tail = tuple(x.shape[len(x.shape) - core :])
    missing = len(batch) + core - len(x.shape)
    x = x.reshape((1,) * missing + tuple(x.shape))
    if namespace(x).__name__ == "autograd.numpy":  # its broadcast_to has no forward mode
        return x + np.zeros(batch + (1,) * len(tail), dtype=np.float16)
    return namespace(x).broadcast_to(x, batch + tail)
