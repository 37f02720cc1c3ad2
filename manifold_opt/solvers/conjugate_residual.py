r"""Conjugate residuals: symmetric linear systems A X = -b on a tangent space, definite or not.

From X along d each step minimizes |A X + b|, the residual, whose sign is that of r = -(A X + b):

    alpha = <r, A d> / <A d, A d>,   X <- X + alpha d,   r <- r - alpha A d,   d <- r + beta d,

with beta such that A d is orthogonal to the one before; then it is so to all before. Where the new r adds nothing to
the Krylov space, which happens for indefinite A when <r, A r> = 0, the next direction is A d instead, orthogonalized
against the last two. So the norm of the residual never increases, and after dim steps the system is solved. One product
with A per step.

References
----------
.. [1] M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49 (1952),
   section 7.
.. [2] D. G. Luenberger, The conjugate residual method for constrained minimization problems, SIAM J. Numer. Anal. 7
   (1970), 390-398.
.. [3] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, section 6.8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.front import Common, run
from ..core.result import Result
from ..core.state import SolverState
from ..core.status import Status
from ..objectives.base import Objective
from ..objectives.linear_systems import LinearSystemEvaluation, SymmetricLinearSystemObjective
from ..stopping.models import StopAfterDimension, StopWhenRelativeResidualLess

if TYPE_CHECKING:
    from typing_extensions import Unpack

# |<r, A r>| below this multiple of |r| |A r|: r and A d span nearly the same
_STALE = 1e-8


class ConjugateResidualState(SolverState):
    """State of `conjugate_residual`, and the default subsolver of `newton`.

    Parameters
    ----------
    X0 : array
        Start vector; copied.
    stopping : StoppingCriterion, optional
        Default ``StopAfterDimension(4.0) | StopWhenRelativeResidualLess(1e-8)``; rounding may cost more than dim steps.

    Attributes
    ----------
    residual_norm, right_hand_side_norm : float
        |A X + b| and |b|.
    """

    transient: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def default_stopping(cls) -> Any:
        """A relative residual below 1e-8, or four times dim iterations."""
        return StopAfterDimension(4.0) | StopWhenRelativeResidualLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.right_hand_side_norm = math.nan
        self._d: Any = None
        self._Ad: Any = None
        self._last: Any = None
        self._squared = math.nan

    @property
    def residual_norm(self) -> float:
        """|A X + b|."""
        return self.evaluation.residual_norm

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Residual at the start."""
        self.right_hand_side_norm = float(problem.manifold.norm(evaluation.point, evaluation.functions.b))
        if not math.isfinite(evaluation.residual_norm):
            self.fail(Status.BAD_FUNCTION, "the residual is not finite at the start.")

    def advance(self, problem: Any) -> None:
        """One step."""
        e, inner = self.evaluation, problem.manifold.inner
        X, r = e.point, -e.residual
        self._turn(inner, X, r, e)
        d, Ad = self._d, self._Ad
        self._squared = squared = inner(X, Ad, Ad)
        if not squared > 0.0:
            self._no_direction(squared)
            return
        alpha = inner(X, r, Ad) / squared
        new = LinearSystemEvaluation(e.functions, X + alpha * d, e.counts, e.residual + alpha * Ad)
        if not math.isfinite(new.residual_norm):
            self._no_direction(new.residual_norm)
            return
        self.evaluation, self.stepsize = new, alpha

    def _turn(self, inner: Any, X: Any, r: Any, e: Any) -> None:
        """Next direction, whose image is orthogonal to the earlier ones."""
        Ar = e.apply(r)
        if self._d is None:
            self._d, self._Ad = r, Ar
            return
        d, Ad, squared = self._d, self._Ad, self._squared
        size = math.sqrt(max(inner(X, Ar, Ar), 0.0)) * e.residual_norm
        if abs(inner(X, r, Ar)) > _STALE * size:
            beta = -inner(X, Ar, Ad) / squared
            self._last = (d, Ad, squared)
            self._d, self._Ad = r + beta * d, Ar + beta * Ad
            return
        AAd = e.apply(Ad)
        gamma = inner(X, AAd, Ad) / squared
        d_new, Ad_new = Ad - gamma * d, AAd - gamma * Ad
        if self._last is not None:
            before, A_before, before_squared = self._last
            delta = inner(X, AAd, A_before) / before_squared
            d_new, Ad_new = d_new - delta * before, Ad_new - delta * A_before
        self._last = (d, Ad, squared)
        self._d, self._Ad = d_new, Ad_new

    def _no_direction(self, squared: float) -> None:
        if squared == 0.0:
            self.fail(
                Status.LINEAR_SOLVE_FAILED,
                f"the operator maps the direction to zero: it is singular, and a residual of {self.residual_norm:.3g} "
                "is left.",
            )
        else:
            self.fail(Status.BAD_FUNCTION, "a product with the operator is not finite.")


def conjugate_residual(
    M: Any,
    operator: Any,
    b: Any = None,
    X0: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Solve the symmetric linear system A X = -b on a tangent space by conjugate residuals.

    Parameters
    ----------
    M : Manifold
        ``TangentSpace(M, p)``, or a Euclidean space.
    operator : callable, array or Objective
        ``X -> A X``, symmetric; the matrix of A in the default orthonormal coordinates; or a
        `SymmetricLinearSystemObjective`, which has b with it.
    b : array
        A tangent vector.
    X0 : array, optional
        Start vector; default zero.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`. ``tolerance`` is that of the residual relative to
        b, default 1e-8.

    Returns
    -------
    Result
        ``result.point`` is X, ``result.cost`` half the squared norm of A X + b.

    Raises
    ------
    ValueError
        When an array has the wrong shape.

    Notes
    -----
    Needs of M: ``inner`` and ``norm``, and that its points can be added.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, conjugate_residual
    >>> A, b = np.array([[2.0, 1.0], [1.0, 4.0]]), np.array([1.0, 2.0])
    >>> conjugate_residual(Euclidean(2), A, b).point * 7
    array([-2., -3.])
    """
    if isinstance(operator, Objective):
        if b is not None:
            raise ValueError("`operator` is an objective already, which has its `b`.")
        objective = operator
    elif b is None:
        raise TypeError("conjugate_residual() needs `b`, the right-hand side of A X = -b.")
    else:
        objective = SymmetricLinearSystemObjective(operator, b)
    X0 = M.zero_vector(M.random_point(0)) if X0 is None else X0
    return run(conjugate_residual, M, objective, X0, ConjugateResidualState, common)
