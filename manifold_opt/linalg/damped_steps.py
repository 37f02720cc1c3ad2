r"""Damped steps s(lam) = argmin |r + J s|^2 + lam |D s|^2 for many lam, and the one of a given length.

With the singular value decomposition of J D^-1 = U diag(w) V', and b = U'r, the scaled step is

    D s(lam) = -V (w b / (w^2 + lam)),

so that one decomposition serves all lam. The inverse of its length is concave in lam and increases: Newton's method for
1/|D s(lam)| = 1/radius runs to the solution from the left without safeguards.

Where a triangle of J is known and well conditioned, the step for lam = 0 takes no decomposition, and near a solution no
other is asked for.

References
----------
.. [1] J. J. Moré, The Levenberg-Marquardt algorithm: implementation and theory, LNM 630 (1978), section 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import lapack

# 1/|D s| is nearly linear in lam: from the left, Newton needs a few steps to any tolerance met here
_MAX_NEWTON = 50
# a pivot smaller than this fraction of its column leaves the undamped step to the singular values
_SAFE_PIVOT = {np.dtype(np.float32): 1e-2, np.dtype(np.float64): 1e-6}
# values of lam that are tried one after the other where the system is singular without damping
_LADDER = tuple(10.0**k for k in range(-14, 32, 4))


class SingularSteps:
    """Steps from the singular values of the scaled triangle.

    Parameters
    ----------
    R : array of shape (k, d)
    c : array of shape (k,)
        |c + R s|^2 is |r + J s|^2 up to a constant.
    scale : array of shape (d,) or None
        Diagonal of D.
    """

    __slots__ = ("V", "b", "scale", "w", "w2")

    def __init__(self, R: Any, c: Any, scale: Any) -> None:
        A = R if scale is None else R / scale
        svd = lapack.sgesdd if A.dtype == np.float32 else lapack.dgesdd
        U, w, Vt, info = svd(A, full_matrices=0)
        if info != 0:
            raise np.linalg.LinAlgError("the singular values of the Jacobian did not converge")
        cut = max(A.shape) * np.finfo(w.dtype).eps * w[0]
        if w[-1] <= cut:
            # directions that r does not depend on: no step along them
            keep = w > cut
            U, w, Vt = U[:, keep], w[keep], Vt[keep]
        self.b, self.w, self.w2, self.V, self.scale = c.dot(U), w, w * w, Vt, scale

    def scaled_step(self, lam: float) -> Any:
        """V' D s(lam), negative."""
        return self.b / self.w if lam == 0.0 else self.w * self.b / (self.w2 + lam)

    def of_length(self, radius: float, tolerance: float) -> tuple[Any, float, float]:
        """Step s with |D s| at most ``(1 + tolerance) radius``, its scaled length and its lam.

        Parameters
        ----------
        radius : float
            > 0.
        tolerance : float
            Relative, > 0.
        """
        z = self.scaled_step(0.0)
        length = math.sqrt(z.dot(z))
        lam, longest = 0.0, (1.0 + tolerance) * radius
        if length > longest:
            wb = self.w * self.b
            # |D s(lam)| >= |w b| / (w_max^2 + lam) bounds lam from the left
            lam = max(0.0, math.sqrt(wb.dot(wb)) / radius - float(self.w2[0]))
            for _ in range(_MAX_NEWTON):
                den = self.w2 + lam
                z = wb / den
                square = float(z.dot(z))
                length = math.sqrt(square)
                if length <= longest:
                    break
                slope = float((z / den).dot(z))
                if not slope > 0.0:  # the step is at the least number there is
                    break
                lam += square / slope * (length - radius) / radius
        s = -z.dot(self.V)
        return (s if self.scale is None else s / self.scale), length, lam


class TriangularSteps:
    """The same, with the decomposition put off until a step shorter than the undamped one is asked for.

    Parameters
    ----------
    R : array of shape (k, d)
        Upper triangular.
    c, scale
        See `SingularSteps`.
    least_pivot : float
        Of R, relative to the norms of its columns.
    """

    __slots__ = ("R", "c", "scale", "steps", "undamped")

    def __init__(self, R: Any, c: Any, scale: Any, least_pivot: float) -> None:
        self.R, self.c, self.scale = R, c, scale
        self.steps: SingularSteps | None = None
        self.undamped: tuple[Any, float, float] | None = None
        if least_pivot > _SAFE_PIVOT[R.dtype]:
            s = (lapack.strtrs if R.dtype == np.float32 else lapack.dtrtrs)(R, c)[0]
            np.negative(s, out=s)
            z = s if scale is None else scale * s
            self.undamped = s, math.sqrt(z.dot(z)), 0.0

    def of_length(self, radius: float, tolerance: float) -> tuple[Any, float, float]:
        """See `SingularSteps.of_length`."""
        if self.steps is None:
            undamped = self.undamped
            if undamped is not None and undamped[1] <= (1.0 + tolerance) * radius:
                return undamped
            self.steps = SingularSteps(self.R, self.c, self.scale)
        return self.steps.of_length(radius, tolerance)


class SolvedSteps:
    """The same by solving one linear system for each lam, for solvers without a triangle.

    Parameters
    ----------
    solver : object
        A bound linear solver.
    r : array
    scale : array or None
    """

    __slots__ = ("r", "scale", "solver")

    def __init__(self, solver: Any, r: Any, scale: Any) -> None:
        self.solver, self.r, self.scale = solver, r, scale

    def _step(self, lam: float) -> tuple[Any, float]:
        s = self.solver.solve(self.r, lam, self.scale)[0]
        z = s if self.scale is None else self.scale * s
        return s, math.sqrt(z.dot(z))

    def least_damped(self) -> tuple[Any, float, float]:
        """The step of the smallest lam for which the system can be solved."""
        for lam in (0.0, *_LADDER):
            try:
                s, length = self._step(lam)
            except np.linalg.LinAlgError as error:
                reason = error
                continue
            if math.isfinite(length):
                return s, length, lam
            reason = np.linalg.LinAlgError("the solution is not finite")
        raise reason

    def of_length(self, radius: float, tolerance: float) -> tuple[Any, float, float]:
        """See `SingularSteps.of_length`; secants of 1/|D s|, as a function of lam."""
        s, length, lam = self.least_damped()
        if length <= (1.0 + tolerance) * radius:
            return s, length, lam
        left = (lam, 1.0 / length)
        lam = max(lam, 1e-3)
        for _ in range(_MAX_NEWTON):
            s, length = self._step(lam)
            if abs(length - radius) <= tolerance * radius:
                break
            here = (lam, 1.0 / length)
            # the chord of a concave function lies below it: beyond the target it is cut there, before it, prolonged
            slope = (here[1] - left[1]) / (here[0] - left[0])
            if not slope > 0.0:
                lam *= 10.0
                continue
            lam = left[0] + (1.0 / radius - left[1]) / slope
            if length > radius:
                left = here
                lam = max(here[0] + (1.0 / radius - here[1]) / slope, 1.01 * here[0])
        return s, length, lam


def damped_steps(solver: Any, r: Any, scale: Any) -> TriangularSteps | SolvedSteps:
    """Steps of a bound linear solver: by its triangle, where it has one that is small enough for singular values."""
    if not hasattr(solver, "reduced"):
        return SolvedSteps(solver, r, scale)
    R, c = solver.reduced(r)
    return TriangularSteps(R, c, scale, getattr(solver, "least_pivot", 0.0))
