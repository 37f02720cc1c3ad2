r"""Bundle adjustment: Levenberg-Marquardt on the reprojection errors, points or cameras eliminated.

The door does what one would do by hand with `levenberg_marquardt`: the family of reprojection errors of a
`BundleProblem`, the Schur complement as linear solver, and a small first damping, since the seven free directions of
the gauge are all that a good start leaves undetermined, and damping of any size holds them.

References
----------
.. [1] B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, Bundle adjustment - a modern synthesis, LNCS 1883 (2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.fixed import solve_fixed
from ..core.front import Common, check_keywords
from ..core.result import Result
from ..linalg.schur import SchurComplement
from ..objectives.base import check_choice
from ..objectives.blocks import BlockObjective, ResidualBlock
from ..stopping import (
    StopAfterIteration,
    StoppingCriterion,
    StopWhenDecreaseLess,
    StopWhenDecreaseUnresolvable,
    StopWhenResidualAtRounding,
    edit,
)
from .damping import Damping, Nielsen
from .levenberg_marquardt import levenberg_marquardt

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Relative to the squared columns of J. Ceres' 1e-4 takes three times as many steps on streets and rings of cameras: it
# holds back what is weakly determined, focal lengths against distances and the bending of a street. At 200 cameras
# 1e-7 takes 31 steps and 1e-10 takes 7.
_FIRST_DAMPING = 1e-10
# conjugate gradients take the more products the less damping there is
_FIRST_DAMPING_ITERATIVE = 1e-6
EDITS = ("max_iterations", "max_evaluations", "max_time", "tolerance")


def bundle_adjust(
    problem: Any,
    p0: Any = None,
    *,
    loss: Any = None,
    gauge: str = "damping",
    fixed: Any = None,
    blocks: Any = (),
    linear_solver: Any = None,
    damping: Damping | None = None,
    **common: Unpack[Common],
) -> Result:
    r"""Find the cameras and points that explain what was seen best.

    Parameters
    ----------
    problem : BundleProblem
        From a file (``datasets.read_bal``, ``read_bundler``, ``read_libmv``), made up (``datasets.bundle_scene``), or
        of one's own arrays.
    p0 : array, optional
        Point of ``problem.manifold`` to start at; default ``problem.start``.
    loss : str, Loss or callable, optional
        Robust loss of the squared length of each error in pixels, for example ``Huber(2.0)`` or ``Cauchy(1.0)``.
    gauge : {"damping", "first"}
        What holds the seven directions that no picture shows: damping, which moves as little as possible along them, or
        the first camera, which stays where it is (the scale is left to damping).
    fixed : optional
        Further variables that stay, see `manifold_opt.fix`: ``{"cameras": [0, 1]}``, ``"points"``, ``"lens"``.
    blocks : sequence of ResidualBlock
        More residuals of the same variables: positions measured by satellite, priors, distances.
    linear_solver : optional
        Default ``SchurComplement()``.
    damping : Damping, optional
        Default ``Nielsen(tau=1e-10)``, and 1e-6 for conjugate gradients.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`. ``tolerance`` (1e-9): the run has converged when
        a step that kept its promise decreased the cost by less than this, relatively. At most 200 iterations.

    Returns
    -------
    Result
        ``problem.at(result.point)`` is the problem with the answer in it. Where the run did not converge, the message
        says what the observations cannot determine.

    Raises
    ------
    TypeError, ValueError
        As `levenberg_marquardt`.

    Examples
    --------
    >>> from manifold_opt import bundle_adjust
    >>> from manifold_opt.datasets import bundle_scene
    >>> scene = bundle_scene(8, 200, 900, noise=0.5, rng=0)
    >>> result = bundle_adjust(scene.problem)
    >>> result.converged, bool(result.cost < 0.5 * 900 * 0.5**2 * 2)
    (True, True)
    """
    check_choice("gauge", gauge, ("damping", "first"))
    if not hasattr(problem, "block"):
        raise TypeError(f"`problem` must be a BundleProblem, such as datasets.read_bal(path) gives; got {problem!r}.")
    more = (blocks,) if isinstance(blocks, ResidualBlock) else tuple(blocks)
    check_keywords(bundle_adjust, common)
    solver = SchurComplement() if linear_solver is None else linear_solver
    if damping is None:
        iterative = getattr(solver, "reduced", "") == "iterative"
        damping = Nielsen(tau=_FIRST_DAMPING_ITERATIVE if iterative else _FIRST_DAMPING)
    if common.get("stopping") is None:
        edits = {name: common.pop(name) for name in EDITS if name in common}  # type: ignore[misc]
        common["stopping"] = _stopping(**edits)
    result = solve_fixed(
        levenberg_marquardt,
        problem.manifold,
        BlockObjective((problem.block(loss), *more)),
        problem.start if p0 is None else p0,
        fixed=_held(gauge, fixed),
        linear_solver=solver,
        damping=damping,
        **common,
    )
    if not result.converged:
        result.message = " ".join([result.message, *problem.weaknesses()])
    return result


def _stopping(tolerance: float | None = None, **limits: Any) -> StoppingCriterion:
    """The default criterion with another tolerance and other limits, those that are not None."""
    criterion = (
        StopAfterIteration(200)
        | StopWhenDecreaseLess(1e-9 if tolerance is None else tolerance)
        | StopWhenDecreaseUnresolvable()
        | StopWhenResidualAtRounding()
    )
    return edit(criterion, **{name: value for name, value in limits.items() if value is not None})


def _held(gauge: str, fixed: Any) -> Any:
    """What stays where it starts."""
    if gauge == "damping":
        return fixed
    names = (fixed,) if isinstance(fixed, str) else () if fixed is None else fixed
    held = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, True)
    if "cameras" not in held:
        held["cameras"] = [0]
    elif held["cameras"] is not True:
        cameras = np.asarray(held["cameras"])
        held["cameras"] = np.union1d(np.flatnonzero(cameras) if cameras.dtype == bool else cameras, [0])
    return held
