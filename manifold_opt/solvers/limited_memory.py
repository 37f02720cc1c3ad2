r"""The last m pairs (s, y) of a quasi-Newton method, and the direction they give.

The inverse BFGS matrix of m pairs is that of the two-loop recursion, here in the compact form of Byrd, Nocedal and
Schnabel: with the columns of S and Y, the upper triangle R of S'Y, its diagonal D, and H0 = gamma I,

    a = R^-1 S'g,   H g = H0 q + S b,   q = g - Y a,   b = R^-T (D a - Y' H0 q).

It needs the inner products of g with all s and y, in one call, and two linear combinations. R^-1, D and Y'Y are kept:
a pair adds one column and takes away the first, and isometric transports do not change them.

All vectors lie in one array, s and y on its first axis, pairs on its second in the order of time, so that one call
transports all of them; where a transport leaves the stored vectors alone (flat spaces, Lie algebras) it costs nothing.
The window of the pairs moves through twice the room they need, and back to the front when it has come to the end.

References
----------
.. [1] R. Byrd, J. Nocedal, R. Schnabel, Representations of quasi-Newton matrices and their use in limited memory
   methods, Math. Program. 63 (1994), 129-156, theorem 2.2.
.. [2] W. Huang, K. Gallivan, P.-A. Absil, SIAM J. Optim. 25 (2015), 1660-1685, section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# Smallest cosine between s and y that still says something about the curvature.
_LEAST_COSINE = 1e-12


class LimitedMemory:
    """Pairs of a quasi-Newton method in the tangent space at ``point``.

    Parameters
    ----------
    size : int
        Largest number of pairs.
    point : array
        Where they start.
    vector_shape : tuple of int
    scale : float
        Factor of gamma = <s, y> / <y, y>.

    Attributes
    ----------
    gamma : float
    skipped : int
        Pairs that were not stored, or dropped, because they had no positive curvature.
    """

    def __init__(self, size: int, point: Any, vector_shape: tuple[int, ...], scale: float) -> None:
        self.size, self.scale = size, scale
        room = 2 * size + 2
        self._W = np.empty((2, room, *vector_shape), dtype=point.dtype)
        self._Ri, self._YY = np.zeros((room, room)), np.zeros((room, room))
        self._D = np.zeros(room)
        self.point = point
        self.skipped = 0
        self.clear()

    def __len__(self) -> int:
        return self._b - self._a

    def clear(self) -> None:
        """Forget all pairs."""
        self._a = self._b = 0
        self.gamma = 1.0

    @property
    def pairs(self) -> Any:
        """Steps and changes of the gradient, ``(2, number, *vector_shape)``, oldest first."""
        return self._W[:, self._a : self._b]

    @property
    def offered(self) -> Any:
        """What was offered last: a step and the gradient before it, where the pairs are now."""
        return self._W[:, self._b]

    def direction(self, M: Any, g: Any, precondition: Callable[[Any], Any] | None = None) -> Any:
        """Minus H g; the preconditioner takes the place of H0."""
        a, b, gamma = self._a, self._b, self.gamma
        if a == b:
            return -g if precondition is None else -precondition(g)
        W, p = self._W, self.point
        products = M.inner(p, W[:, a:b], g)
        alpha = self._Ri[a:b, a:b] @ products[0]
        if precondition is None:
            change = self._D[a:b] * alpha
            change += gamma * (self._YY[a:b, a:b] @ alpha - products[1])
            r = (-gamma) * g
            r += combination(gamma * alpha, W[1, a:b])
        else:
            r = precondition(g - combination(alpha, W[1, a:b]))
            change = self._D[a:b] * alpha - M.inner(p, W[1, a:b], r)
            r = -r
        r -= combination(change @ self._Ri[a:b, a:b], W[0, a:b])
        return r

    def offer(self, s: Any, g: Any) -> None:
        """Put down the next step and the gradient before it, to be transported along with the pairs."""
        if self._b - self._a == self.size:
            self._a += 1
        if self._b + 1 == self._W.shape[1]:
            self._to_the_front()
        self._W[0, self._b], self._W[1, self._b] = s, g

    def _to_the_front(self) -> None:
        a, b = self._a, self._b
        n = b - a
        self._W[:, :n] = self._W[:, a:b]
        self._Ri[:n, :n], self._YY[:n, :n] = self._Ri[a:b, a:b].copy(), self._YY[a:b, a:b].copy()
        self._D[:n] = self._D[a:b]
        self._a, self._b = 0, n

    def move(self, M: Any, transport: Callable[..., Any], q: Any, isometric: bool) -> None:
        """Transport the pairs, and what was offered, to q."""
        a, b = self._a, self._b + 1
        W = self._W[:, a:b]
        moved = transport(self.point, W, q)
        self.point = q
        if moved is W:
            return
        self._W[:, a:b] = moved
        if not isometric and a < self._b:
            self._measure(M)

    def _measure(self, M: Any) -> None:
        """Inner products of pairs whose transport has changed them; those without positive curvature go."""
        a, b = self._a, self._b
        S, Y = self._W[0, a:b], self._W[1, a:b]
        SY, YY = (M.inner(self.point, X[:, None], Y[None]) for X in (S, Y))
        lengths = np.sqrt(np.diagonal(YY) * M.inner(self.point, S, S))
        good = np.diagonal(SY) > _LEAST_COSINE * lengths
        if not good.all():
            kept = np.flatnonzero(good)
            self.skipped += b - a - len(kept)
            SY, YY = SY[np.ix_(kept, kept)], YY[np.ix_(kept, kept)]
            W = self._W
            W[:, a : a + len(kept)] = W[:, a:b][:, kept]
            W[:, a + len(kept)] = W[:, b]
            self._b = b = a + len(kept)
        self._YY[a:b, a:b], self._D[a:b] = YY, np.diagonal(SY)
        self._Ri[a:b, a:b] = np.linalg.inv(np.triu(SY)) if b > a else 0.0

    def learn(self, M: Any, s: Any, y: Any, sy: float, ss: float) -> None:
        """Store what was offered, as the pair (s, y); ``sy`` and ``ss`` are its inner products."""
        a, b = self._a, self._b
        W, Ri = self._W, self._Ri
        W[1, b] = y
        products = M.inner(self.point, W[:, a : b + 1], y)
        yy = float(products[1, -1])
        if not sy > _LEAST_COSINE * (ss * yy) ** 0.5:
            self.skipped += 1
            return
        if b > a:
            self._YY[b, a:b] = self._YY[a:b, b] = products[1, :-1]
            Ri[a:b, b] = Ri[a:b, a:b] @ products[0, :-1] * (-1.0 / sy)
            Ri[b, a:b] = 0.0
        self._YY[b, b], self._D[b], Ri[b, b] = yy, sy, 1.0 / sy
        self._b = b + 1
        self.gamma = self.scale * sy / yy


def combination(c: Any, X: Any) -> Any:
    """Sum of c_i X_i over the first axis of X."""
    return (c.astype(X.real.dtype, copy=False) @ X.reshape(len(X), -1)).reshape(X.shape[1:])
