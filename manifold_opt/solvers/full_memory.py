"""A quasi-Newton matrix in coordinates, with the frame they refer to.

The frame is an orthonormal basis of the tangent space, transported along with the point; in it the matrix stays what it
is. A transport that is no isometry leaves the frame skew, so it is orthonormalized by the Cholesky factor of its inner
products, which amounts to an isometric transport close to the one given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..directions.quasi_newton import QuasiNewtonUpdate


class FullMemory:
    """Matrix of a quasi-Newton method in the tangent space at ``point``.

    Parameters
    ----------
    M : Manifold
    point : array
    update : QuasiNewtonUpdate
    scale : float
        The first matrix is ``scale`` times the identity (inverse), scaled once more by the first pair.
    precondition : callable, optional
        The inverse to begin with instead, a function of tangent vectors; it takes dim calls, and is not scaled.

    Attributes
    ----------
    frame : array
        ``(dim, *vector_shape)``.
    matrix : array
        ``(dim, dim)``.
    skipped : int
        Pairs that changed nothing.
    """

    def __init__(
        self,
        M: Any,
        point: Any,
        update: QuasiNewtonUpdate,
        scale: float,
        precondition: Callable[[Any], Any] | None = None,
    ) -> None:
        self.rule, self.scale, self.point = update, scale, point
        self.frame = M.get_basis(point)
        self.skipped = 0
        self._vectors: dict[str, tuple[Any, Any]] = {}
        self.first: Any = None
        if precondition is not None:
            H = np.stack([self.coordinates(M, precondition(E)) for E in self.frame])
            self.first = 0.5 * (H + H.T) if update.inverse else np.linalg.inv(0.5 * (H + H.T))
        self.clear()

    def __len__(self) -> int:
        return self._learned

    def clear(self) -> None:
        """Back to the first matrix."""
        if self.first is None:
            self.matrix = np.eye(len(self.frame)) * (self.scale if self.rule.inverse else 1.0 / self.scale)
        else:
            self.matrix = self.first.copy()
        self._learned = 0

    def coordinates(self, M: Any, X: Any) -> Any:
        """Coordinates of a tangent vector in the frame."""
        return M.inner(self.point, self.frame, X)

    def direction(self, M: Any, g: Any) -> Any:
        """Minus the inverse of the Hessian approximation, applied to the gradient; minus it where that is singular."""
        c = self.known(M, g)
        if self.rule.inverse:
            d = self.matrix.dot(c)
            np.negative(d, out=d)
        else:
            try:
                d = -np.linalg.solve(self.matrix, c)
            except np.linalg.LinAlgError:
                return -g
        frame = self.frame
        d = d.astype(frame.real.dtype, copy=False)
        X = d.dot(frame.reshape(len(frame), -1)).reshape(frame.shape[1:])
        self._vectors["direction"] = X, d
        return X

    def known(self, M: Any, X: Any) -> Any:
        """Coordinates of a vector, kept until the next one: a gradient is asked for by a pair and by a direction."""
        for vector, c in self._vectors.values():
            if vector is X:
                return c
        c = self.coordinates(M, X)
        self._vectors["last"] = X, c
        return c

    def move(self, M: Any, transport: Callable[..., Any], q: Any, isometric: bool) -> None:
        """Transport the frame to q."""
        frame = transport(self.point, self.frame, q)
        self.point = q
        self._vectors.clear()
        if frame is self.frame:
            return
        if not isometric:
            L = np.linalg.cholesky(M.inner(q, frame[:, None], frame[None]))
            frame = np.linalg.solve(L, frame.reshape(len(frame), -1)).reshape(frame.shape)
        self.frame = frame

    def learn(self, s: Any, y: Any, sy: float) -> None:
        """Update the matrix by the coordinates of a pair."""
        if self._learned == 0 and sy > 0.0 and self.first is None:
            # Nocedal and Wright (6.20): before the first update, the right scale.
            gamma = sy / (y @ y)
            self.matrix *= gamma if self.rule.inverse else 1.0 / gamma
        matrix = self.rule.update(self.matrix, s, y)
        if matrix is self.matrix or not np.isfinite(matrix.sum()):
            self.skipped += 1
            return
        self.matrix, self._learned = matrix, self._learned + 1
