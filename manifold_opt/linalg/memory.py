"""Memory for large arrays that are made again and again: fresh pages cost more than what is written into them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

# references to an array that only the pool knows: the list's, the loop's, and that of the call that counts them
_OWN = 3
_counted = hasattr(sys, "getrefcount") and sys.implementation.name == "cpython"


class Pool:
    """Arrays to write into, used again as soon as nobody holds them or a view of them any more.

    Parameters
    ----------
    most : int
        How many arrays to remember.
    """

    __slots__ = ("_arrays", "most")

    def __init__(self, most: int = 4) -> None:
        self.most = most
        self._arrays: list[Any] = []

    def take(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array of this shape, with anything in it."""
        if _counted:
            for array in self._arrays:
                if array.shape == shape and array.dtype == dtype and sys.getrefcount(array) <= _OWN:
                    return array
        array = np.empty(shape, dtype)
        if _counted:
            self._arrays = [*self._arrays[-(self.most - 1) :], array]
        return array
