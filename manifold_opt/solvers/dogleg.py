r"""Dogleg methods for nonlinear least squares on manifolds.

Two directions are known at a point: steepest descent, good for a short way, and the Gauss-Newton step, good for a long
one where the model holds. Powell's dogleg goes along the first to the least of the model |r + J s| and turns there
towards the second, as far as the radius lets it; the subspace method takes the least of the model in the plane of both.
Either solves one linear system per accepted point, whatever is rejected, and none is ever damped.

References
----------
.. [1] M. J. D. Powell, A hybrid method for nonlinear equations, in P. Rabinowitz (ed.), Numerical Methods for Nonlinear
   Algebraic Equations, Gordon and Breach 1970, 87-114.
.. [2] R. H. Byrd, R. B. Schnabel, G. A. Shultz, Math. Program. 40 (1988), 247-263.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.front import Common, least_squares_objective, run
from ..core.result import Result
from .levenberg_marquardt import LevenbergMarquardtState
from .trust_region_steps import PowellDogleg, SubspaceDogleg

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DoglegState(LevenbergMarquardtState):
    """State of `dogleg`: that of Levenberg-Marquardt with another policy for its steps.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    subspace : bool
        Whether to search the plane of both directions, instead of Powell's path.
    factor, initial_radius, acceptance, scaling : optional
        See `TrustRegionPolicy`.
    bounds, nonmonotone, linear_solver, retraction, residuals, jacobian, stopping : optional
        See `LevenbergMarquardtState`.
    """

    def __init__(
        self,
        p0: Any,
        *,
        subspace: bool = False,
        factor: float = 1.0,
        initial_radius: float | None = None,
        acceptance: float = 1e-4,
        scaling: str | None = "columns",
        bounds: Any = None,
        nonmonotone: int = 0,
        linear_solver: Any = None,
        retraction: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        stopping: Any = None,
    ) -> None:
        policy = SubspaceDogleg if subspace else PowellDogleg
        super().__init__(
            p0,
            damping=policy(factor=factor, initial_radius=initial_radius, acceptance=acceptance, scaling=scaling),
            bounds=bounds,
            nonmonotone=nonmonotone,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=residuals,
            jacobian=jacobian,
            stopping=stopping,
        )


def dogleg(
    M: Any,
    residual: Any,
    p0: Any = None,
    *,
    jacobian: Any = None,
    jacobian_type: str = "coordinates",
    jacobian_basis: Any = None,
    loss: Any = None,
    residual_size: int = 1,
    num_residuals: int | None = None,
    autodiff: str = "auto",
    subspace: bool = False,
    factor: float = 1.0,
    initial_radius: float | None = None,
    acceptance: float = 1e-4,
    scaling: str | None = "columns",
    bounds: Any = None,
    nonmonotone: int = 0,
    linear_solver: Any = None,
    retraction: Any = None,
    initial_residuals: Any = None,
    initial_jacobian: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize half the squared norm of a residual by Powell's dogleg method.

    Parameters
    ----------
    M : Manifold
    residual : callable, InPlace, Fused, sequence of callables, or Objective
        ``residual(p)``, m real numbers; see `NonlinearLeastSquaresObjective` for all forms.
    p0 : array, optional
        Start point; default a random one.
    jacobian, jacobian_type, jacobian_basis, loss, residual_size, num_residuals, autodiff : optional
        See `levenberg_marquardt`.
    subspace : bool
        Whether to minimize the model in the plane of the gradient and the Gauss-Newton step, instead of along Powell's
        path through it.
    factor : float
        First radius relative to the size of the point.
    initial_radius : float, optional
        First radius itself, in the norm of the scaling.
    acceptance : float
        Gain ratio from which on a step is taken.
    scaling : {"columns", "marquardt", "blocks", None}
        See `Nielsen`.
    bounds, nonmonotone, linear_solver, retraction, initial_residuals, initial_jacobian : optional
        See `levenberg_marquardt`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        As `levenberg_marquardt`.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, dogleg
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> y = 2.0 * np.exp(-3.0 * t)
    >>> result = dogleg(Euclidean(2), lambda p: p[0] * np.exp(p[1] * t) - y, np.array([1.0, 0.0]))
    >>> result.converged, np.round(result.point, 8) + 0.0
    (True, array([ 2., -3.]))
    """
    if num_residuals is None and initial_residuals is not None:
        num_residuals = np.size(initial_residuals)
    objective = least_squares_objective(
        residual,
        jacobian=jacobian,
        jacobian_type=jacobian_type,
        jacobian_basis=jacobian_basis,
        loss=loss,
        residual_size=residual_size,
        num_residuals=num_residuals,
        autodiff=autodiff,
    )
    return run(
        dogleg,
        M,
        objective,
        p0,
        lambda p: DoglegState(
            p,
            subspace=subspace,
            factor=factor,
            initial_radius=initial_radius,
            acceptance=acceptance,
            scaling=scaling,
            bounds=bounds,
            nonmonotone=nonmonotone,
            linear_solver=linear_solver,
            retraction=retraction,
            residuals=initial_residuals,
            jacobian=initial_jacobian,
        ),
        common,
    )
