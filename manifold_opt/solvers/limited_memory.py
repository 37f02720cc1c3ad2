r"""The last m pairs (s, y) of a quasi-Newton method, and the direction they give.

The inverse BFGS matrix of m pairs is that of the two-loop recursion, here in the compact form of Byrd, Nocedal and
Schnabel: with the columns of S and Y, the upper triangle R of S'Y, its diagonal D, and H0 = gamma I,

    H g = gamma g + [S Y] K [S'g; Y'g],    K = [ R^-T (D + gamma Y'Y) R^-1   -gamma R^-T ]
                                               [ -gamma R^-1                  0          ].

A direction takes the inner products of g with all s and y, in one call, K times them in three products with small
matrices, and one linear combination. R^-1, D and Y'Y are kept: a pair adds one column and takes away the first, and
isometric transports do not change them.

All vectors lie in one array, pairs on its first axis in the order of time, s and y on its second, so that one call
transports all of them; where a transport leaves the stored vectors alone (flat spaces, Lie algebras) it costs nothing.
The window of the pairs moves through twice the room they need, and back to the front when it has come to the end.

References
----------
.. [1] R. Byrd, J. Nocedal, R. Schnabel, Representations of quasi-Newton matrices and their use in limited memory
   methods, Math. Program. 63 (1994), 129-156, theorem 2.2.
.. [2] W. Huang, K. Gallivan, P.-A. Absil, SIAM J. Optim. 25 (2015), 1660-1685, section 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# Smallest cosine between s and y that still says something about the curvature.
_LEAST_COSINE = 1e-12
_DOUBLE = np.dtype(float)


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
        self._W = np.empty((room, 2, *vector_shape), dtype=point.dtype)
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
        self._Ri[...] = 0.0
        self.gamma = 1.0
        self._stays: bool | None = None

    @property
    def pairs(self) -> Any:
        """Steps and changes of the gradient, ``(number, 2, *vector_shape)``, oldest first."""
        return self._W[self._a : self._b]

    @property
    def offered(self) -> Any:
        """What was offered last: a step and the gradient before it, where the pairs are now."""
        return self._W[self._b]

    def direction(self, M: Any, g: Any, precondition: Callable[[Any], Any] | None = None) -> Any:
        """Minus H g; the preconditioner takes the place of H0."""
        if self._a == self._b:
            return -g if precondition is None else -precondition(g)
        if precondition is not None:
            return self._preconditioned(M, g, precondition)
        a, b, gamma, W = self._a, self._b, self.gamma, self.pairs
        products = M.inner(self.point, W, g)
        Ri = self._Ri[a:b, a:b]
        u = Ri.dot(products[:, 0])
        v = self._YY[a:b, a:b].dot(u)
        v -= products[:, 1]
        v *= -gamma
        v -= self._D[a:b] * u
        c = np.empty_like(products)
        c[:, 0], c[:, 1] = v.dot(Ri), gamma * u
        if W.dtype is not _DOUBLE:
            c = c.astype(W.real.dtype)
        X = c.reshape(-1).dot(W.reshape(2 * (b - a), -1)).reshape(g.shape)
        X -= gamma * g
        return X

    def _preconditioned(self, M: Any, g: Any, precondition: Callable[[Any], Any]) -> Any:
        """The two loops: a = R^-1 S'g, r = H0 (g - Y a), minus r and S R^-T (D a - Y'r)."""
        a, b, p, W = self._a, self._b, self.point, self.pairs
        Ri = self._Ri[a:b, a:b]
        alpha = Ri @ M.inner(p, W[:, 0], g)
        r = precondition(g - combination(alpha, W[:, 1]))
        beta = (self._D[a:b] * alpha - M.inner(p, W[:, 1], r)) @ Ri
        return -(r + combination(beta, W[:, 0]))

    def offer(self, s: Any, g: Any) -> None:
        """Put down the next step and the gradient before it, to be transported along with the pairs."""
        if self._b - self._a == self.size:
            self._a += 1
        if self._b + 1 == len(self._W):
            self._to_the_front()
        row = self._W[self._b]
        row[0], row[1] = s, g

    def _to_the_front(self) -> None:
        a, b = self._a, self._b
        n = b - a
        self._W[:n] = self._W[a:b]
        Ri, self._YY[:n, :n] = self._Ri[a:b, a:b].copy(), self._YY[a:b, a:b].copy()
        self._Ri[...] = 0.0  # so that what is below the diagonal of new columns is zero already
        self._Ri[:n, :n] = Ri
        self._D[:n] = self._D[a:b]
        self._a, self._b = 0, n

    def move(self, M: Any, transport: Callable[..., Any], q: Any, isometric: bool) -> None:
        """Transport the pairs, and what was offered, to q."""
        a, b = self._a, self._b
        p, W, self.point = self.point, self._W[a : b + 1], q
        if self._stays is None:
            moved = transport(p, W, q)
            self._stays = moved is W
            if not self._stays:
                W[...] = moved
        elif not self._stays:
            transport(p, W, q, out=W)
        if not (isometric or self._stays) and a < b:
            self._measure(M)

    def _measure(self, M: Any) -> None:
        """Inner products of pairs whose transport has changed them; those without positive curvature go."""
        a, b, p = self._a, self._b, self.point
        S, Y = self._W[a:b, 0], self._W[a:b, 1]
        SY, YY = (M.inner(p, X[:, None], Y[None]) for X in (S, Y))
        lengths = np.sqrt(np.diagonal(YY) * M.inner(p, S, S))
        good = np.diagonal(SY) > _LEAST_COSINE * lengths
        if not good.all():
            kept = np.flatnonzero(good)
            self.skipped += b - a - len(kept)
            SY, YY = SY[np.ix_(kept, kept)], YY[np.ix_(kept, kept)]
            offered = self._W[b].copy()
            self._W[a : a + len(kept)] = self._W[a:b][kept]
            self._b = b = a + len(kept)
            self._W[b] = offered
        self._YY[a:b, a:b], self._D[a:b] = YY, np.diagonal(SY)
        self._Ri[...] = 0.0
        if b > a:
            self._Ri[a:b, a:b] = np.linalg.inv(np.triu(SY))

    def learn(self, M: Any, y: Any, ss: float | None = None, least: float = 0.0) -> None:
        """Store what was offered as a pair with the change y, if <s, y> > 0 and <s, y> >= least <s, s>.

        ``ss`` is <s, s> where that is known; y may be the place of the gradient offered.
        """
        a, b, p = self._a, self._b, self.point
        W, Ri = self._W, self._Ri
        if y.base is not W:
            W[b, 1] = y
        products = M.inner(p, W[a : b + 1], y)
        sy, yy = products[-1].tolist()
        if ss is None:
            ss = M.inner(p, W[b, 0], W[b, 0])
        if not (sy > _LEAST_COSINE * math.sqrt(ss * yy) and sy >= least * ss):
            self.skipped += 1
            return
        if b > a:
            self._YY[b, a:b] = self._YY[a:b, b] = products[:-1, 1]
            Ri[a:b, b] = Ri[a:b, a:b].dot(products[:-1, 0]) * (-1.0 / sy)
        self._YY[b, b], self._D[b], Ri[b, b] = yy, sy, 1.0 / sy
        self._b = b + 1
        self.gamma = self.scale * sy / yy


def combination(c: Any, X: Any) -> Any:
    """Sum of c_i X_i over the first axis of X."""
    return (c.astype(X.real.dtype, copy=False) @ X.reshape(len(X), -1)).reshape(X.shape[1:])
