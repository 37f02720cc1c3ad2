"""Named parts of one flat array."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """How several arrays lie one after the other on the last axis of a flat one.

    Parameters
    ----------
    shapes
        The shape of each part.
    pairs
        For each part, whether it is complex but stored as (re, im) pairs in a real flat array.
    """

    shapes: tuple[tuple[int, ...], ...]
    pairs: tuple[bool, ...]

    @cached_property
    def _slices(self) -> tuple[tuple[slice, tuple[int, ...], bool], ...]:
        start, slices = 0, []
        for shape, paired in zip(self.shapes, self.pairs):
            stop = start + math.prod(shape) * (2 if paired else 1)
            slices.append((slice(start, stop), shape, paired))
            start = stop
        return tuple(slices)

    @cached_property
    def size(self) -> int:
        """The length of the flat array."""
        return sum(math.prod(shape) * (2 if paired else 1) for shape, paired in zip(self.shapes, self.pairs))

    @cached_property
    def _plain(self) -> tuple[tuple[slice, tuple[int, ...] | None], ...] | None:
        """Slices, and the shape where there is more than one axis; None where a part is in pairs."""
        if any(self.pairs):
            return None
        return tuple((s, shape if len(shape) > 1 else None) for s, shape, _ in self._slices)

    def split(self, a: Array) -> tuple[Array, ...]:
        """The parts of flat arrays ``(*batch, size)``: views on NumPy arrays."""
        if a.ndim == 1:
            if self._plain is not None:
                # a short road: this is called for every argument of every operation of a product
                return tuple([a[s] if shape is None else a[s].reshape(shape) for s, shape in self._plain])
            return tuple(
                (_complex(a[s]) if paired else a[s]).reshape(shape) for s, shape, paired in self._slices
            )
        batch = tuple(a.shape[:-1])
        return tuple(
            (_complex(a[..., s]) if paired else a[..., s]).reshape(batch + shape)
            for s, shape, paired in self._slices
        )

    def join(self, parts: Any, out: Array | None = None) -> Array:
        """The flat array of these parts, whose batches broadcast against each other."""
        if (
            out is None
            and len(parts) == len(self.shapes)
            and not any(self.pairs)
            and all(type(x) is np.ndarray and x.shape == shape for x, shape in zip(parts, self.shapes, strict=True))
        ):
            return np.concatenate([x.ravel() for x in parts])
        if len(parts) != len(self.shapes):
            raise ValueError(f"there are {len(self.shapes)} parts to join, but {len(parts)} were given")
        xp = namespace(*parts)
        if xp is np:
            parts = [np.asarray(x) for x in parts]
        for x, shape in zip(parts, self.shapes):
            if tuple(x.shape[x.ndim - len(shape) :]) != shape or x.ndim < len(shape):
                raise ValueError(
                    f"a part to join must have shape {('...', *shape)}, but its shape is {tuple(x.shape)}"
                )
        batches = [tuple(x.shape[: x.ndim - len(shape)]) for x, shape in zip(parts, self.shapes)]
        batch = batches[0] if all(b == batches[0] for b in batches) else np.broadcast_shapes(*batches)
        if xp is not np:
            return self._concatenated(xp, parts, batch)
        if out is None:
            out = np.empty((*batch, self.size), dtype=self._dtype(parts))
        for target, x in zip(self.split(out), parts):
            target[...] = x
        return out

    def _dtype(self, parts: Any) -> Any:
        return np.result_type(*(x.real.dtype if paired else x.dtype for x, paired in zip(parts, self.pairs)))

    def _concatenated(self, xp: Any, parts: Any, batch: tuple[int, ...]) -> Array:
        flat = []
        for x, shape, paired in zip(parts, self.shapes, self.pairs):
            x = xp.broadcast_to(x, batch + shape) if tuple(x.shape) != batch + shape else x
            if paired:
                x = xp.stack([xp.real(x), xp.imag(x)], axis=-1)
            flat.append(xp.reshape(x, (*batch, -1)))
        return xp.concatenate(flat, axis=-1)


def _complex(a: Array) -> Array:
    """(re, im) pairs on the last axis as complex numbers: a view of a NumPy array whose last axis is contiguous."""
    if type(a) is np.ndarray and a.strides[-1] == a.itemsize:
        return a.view(np.result_type(a.dtype, np.complex64))
    return a[..., 0::2] + 1j * a[..., 1::2]
