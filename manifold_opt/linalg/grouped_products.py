"""Sums of products of small matrices, group by group: out[g] = sum of A_i' B_j over the pairs (i, j) of group g."""

from __future__ import annotations

from typing import Any

import numpy as np

# Groups of at least this many pairs are one product of long matrices each; smaller ones are padded with zeros to a
# power of two, and those of equal length multiplied all at once.
_LONG = 24
# numbers gathered at a time: half a megabyte, so that they are still in the cache when they are multiplied
_MOST = 65_536


class GroupedProducts:
    """A plan for such sums; it depends on the pairs only.

    Parameters
    ----------
    first, second : array of int, shape (pairs,)
        i and j.
    group : array of int, shape (pairs,)
        g, sorted.
    size : int
        Number of groups.
    """

    def __init__(self, first: Any, second: Any, group: Any, size: int) -> None:
        self.size = size
        counts = np.bincount(group, minlength=size)
        starts = np.concatenate([[0], np.cumsum(counts)])
        long = np.flatnonzero(counts >= _LONG)
        keep = np.repeat(counts >= _LONG, counts)
        self._long = long, np.concatenate([[0], np.cumsum(counts[long])])
        self._first = first[keep]
        self._second = self._first if second is first else second[keep]
        self._buckets = []
        lengths = 2 ** np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
        for length in np.unique(lengths[(counts > 0) & (counts < _LONG)]).tolist():
            groups = np.flatnonzero((lengths == length) & (counts > 0) & (counts < _LONG))
            at = starts[groups][:, None] + np.arange(length)
            there = np.arange(length) < counts[groups][:, None]
            at = np.where(there, at, 0)
            # -1 is the row of zeros that is kept at the end
            self._buckets.append((groups, np.where(there, first[at], -1), np.where(there, second[at], -1)))

    def __call__(self, A: Any, B: Any) -> Any:
        """The sums.

        Parameters
        ----------
        A : array of shape (n + 1, e, K)
        B : array of shape (m + 1, e, L)
            The last matrix of each is zero.

        Returns
        -------
        array of shape (size, K, L)
        """
        K, L, e = A.shape[2], B.shape[2], A.shape[1]
        out = np.zeros((self.size, K, L), A.dtype)
        if not out.size:
            return out
        self._by_long(A, B, out)
        a, b = A.reshape(len(A), -1), B.reshape(len(B), -1)
        for groups, i, j in self._buckets:
            length = i.shape[1]
            step = max(1, _MOST // (length * e * (K + L)))
            for k in range(0, len(groups), step):
                rows = slice(k, k + step)
                left = a[i[rows]].reshape(-1, length * e, K)
                right = b[j[rows]].reshape(-1, length * e, L)
                out[groups[rows]] = left.transpose(0, 2, 1) @ right
        return out

    def _by_long(self, A: Any, B: Any, out: Any) -> None:
        groups, starts = self._long
        if not len(groups):
            return
        e, K, L = A.shape[1], A.shape[2], B.shape[2]
        a, b = A.reshape(len(A), -1), B.reshape(len(B), -1)
        same = A is B and self._first is self._second
        most = max(int(np.diff(starts).max()), _MOST // (e * (K + L)))
        left_memory = np.empty((most, e * K), A.dtype)
        right_memory = left_memory if same else np.empty((most, e * L), B.dtype)
        k = 0
        while k < len(groups):
            # as many groups as fit
            stop = int(np.searchsorted(starts, starts[k] + most, side="right")) - 1
            rows = slice(int(starts[k]), int(starts[stop]))
            n = rows.stop - rows.start
            # clipping, which never happens, keeps NumPy from going through a buffer of its own
            left = a.take(self._first[rows], axis=0, out=left_memory[:n], mode="clip").reshape(-1, K)
            right = left
            if not same:
                right = b.take(self._second[rows], axis=0, out=right_memory[:n], mode="clip").reshape(-1, L)
            ends = (e * (starts[k : stop + 1] - starts[k])).tolist()
            for g, s, t in zip(groups[k:stop].tolist(), ends[:-1], ends[1:], strict=True):
                np.dot(left[s:t].T, right[s:t], out=out[g])
            k = stop
