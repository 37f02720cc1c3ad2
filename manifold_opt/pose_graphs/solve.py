"""Poses of a graph by Levenberg-Marquardt, from a good start, with a proof of optimality, and among outliers."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.front import Common
from ..core.problem import Problem
from ..core.result import Result
from ..functions.pose_factors import chordal_between, pose_between
from ..objectives.blocks import BlockObjective, ResidualBlock
from ..objectives.graduated import chi_quantile
from ..objectives.losses import as_loss
from ..objectives.reduced import fix
from ..solvers.levenberg_marquardt import levenberg_marquardt
from ..stopping import StopAfterIteration, StopWhenDecreaseLess
from .certificate import Certificate
from .certificate import certify as certificate_for
from .graph import InformationError, PoseGraph
from .initialization import METHODS, initial_poses
from .robust import believed_edges

if TYPE_CHECKING:
    from typing_extensions import Unpack

OBJECTIVES = ("chordal", "log")
# share of good edges whose residual is below the threshold of graduated non-convexity
_INSIDE = 0.999
# stages on the way need not be solved to the last digit
_STAGE = StopAfterIteration(50) | StopWhenDecreaseLess(1e-6)


@dataclass
class PoseGraphResult(Result):
    """`Result` of a pose graph, and what else there is to say.

    Attributes
    ----------
    graph : PoseGraph
    poses : array of shape (n, d (d + 1))
        The answer, points of SE(d); ``point`` is the same as one point of ``graph.manifold``.
    objective : {"chordal", "log"}
        What was minimized.
    certificate : Certificate or None
        Of the chordal objective, where it was asked for.
    weights : array of shape (m,) or None
        How much each edge was believed, of a robust fit.
    start : array of shape (n, d (d + 1))
        Where it began.
    init : str
        How that was found.
    initial_costs, costs : dict
        ``"chordal"`` (F, no half) and ``"log"`` (half the sum of squares, NaN where an information matrix is
        indefinite) at the start and at the answer, without losses, and without edges that are not believed.
    seconds : dict
        ``"init"``, ``"solve"``, ``"certify"``, and ``"escape"`` from a minimum that was not the best.
    escaped_by : str
        The start that led out of such a minimum, or "relaxation"; empty where none had to be left.
    ranks : list of int
        Rows of the relaxations that were climbed to leave such a minimum.
    """

    graph: Any = None
    poses: Any = None
    objective: str = "chordal"
    certificate: Certificate | None = None
    weights: Any = None
    start: Any = None
    init: str = ""
    initial_costs: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    escaped_by: str = ""
    ranks: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Everything but arrays, as numbers and strings."""
        answer: dict[str, Any] = {
            "poses": self.graph.num_poses,
            "edges": self.graph.num_edges,
            "dimension": self.graph.dimension,
            "objective": self.objective,
            "init": self.init,
            "status": self.status.name,
            "converged": self.converged,
            "message": self.message,
            "iterations": self.iterations,
            "initial_costs": self.initial_costs,
            "costs": self.costs,
            "seconds": self.seconds,
        }
        if self.weights is not None:
            answer["rejected_edges"] = int((self.weights < 0.5).sum())
        if self.certificate is not None:
            c = self.certificate
            answer["certificate"] = {
                "optimal": c.optimal,
                "gap": c.gap,
                "relative_gap": c.relative_gap,
                "eigenvalue": c.eigenvalue,
            }
        if "escape" in self.seconds:
            answer["escaped_by"], answer["ranks"] = self.escaped_by, self.ranks
        return answer

    def report(self, **_: Any) -> str:
        """A page to be printed."""
        return "\n".join(f"{name:>14}  {text}" for name, text in self.lines())

    def lines(self) -> list[tuple[str, str]]:
        """Names and texts of the lines of the report."""
        lines = [
            ("graph", repr(self.graph)),
            ("objective", _NAMES[self.objective]),
            ("start", f"{self.init}, {self.seconds['init']:.3g} s"),
            ("solver", f"{self.status.name}, {self.iterations} iterations, {self.seconds['solve']:.3g} s"),
            ("", self.message),
        ]
        for name in OBJECTIVES:
            lines.append((f"{name} cost", f"{self.initial_costs[name]:.9g} -> {self.costs[name]:.9g}"))
        if self.weights is not None:
            rejected = int((self.weights < 0.5).sum())
            lines.append(("outliers", f"{rejected} of {self.graph.num_edges} edges are not believed"))
        if "escape" in self.seconds:
            how = f"started from {self.escaped_by}" if self.escaped_by in METHODS else "tried the other starts"
            if self.ranks:
                how += f", and frames of {', '.join(map(str, self.ranks))} rows"
            lines.append(("escape", f"{how}, {self.seconds['escape']:.3g} s"))
        if self.certificate is not None:
            lines.append(("certificate", f"{self.certificate}, {self.seconds['certify']:.3g} s"))
        return lines


_NAMES = {"chordal": "chordal distances, isotropic weights", "log": "logarithms, full information matrices"}


def pose_graph_block(
    graph: PoseGraph, objective: str = "chordal", edges: Any = None, weights: Any = None, **options: Any
) -> ResidualBlock:
    """The family of residuals of a graph, to be combined with others.

    Parameters
    ----------
    graph : PoseGraph
    objective : {"chordal", "log"}
    edges : array, optional
        Numbers or a mask of the edges to take; default all.
    weights : array of shape (m,), optional
        Factors of the squared residuals of all edges.
    **options
        Of `ResidualBlock`, such as ``loss``.

    Returns
    -------
    ResidualBlock
        For ``graph.manifold``, whose only factor is called ``poses``.

    Raises
    ------
    InformationError
        When the information matrices do not say how much an edge counts.
    """
    pick = slice(None) if edges is None else edges
    i, j = graph.edges[pick].T
    options.setdefault("name", "edges")
    Z = graph.measurements[pick]
    if objective == "log":
        W = graph.sqrt_information()
        W = W if weights is None else np.sqrt(weights)[:, None, None] * W
        return pose_between(i, j, Z, sqrt_information=W[pick], **options)
    kappa, tau = graph.isotropic_weights()
    if weights is not None:
        kappa, tau = kappa * weights, tau * weights
    return chordal_between(i, j, Z, kappa[pick], tau[pick], **options)


def pose_graph_costs(graph: PoseGraph, poses: Any) -> dict[str, float]:
    """Both costs of poses: ``"chordal"`` is F, ``"log"`` half the sum of squares; NaN where undefined."""
    M = graph.manifold
    p = M.join(np.asarray(poses).reshape(graph.num_poses, -1))
    costs = {}
    for name, factor in (("chordal", 2.0), ("log", 1.0)):
        try:
            costs[name] = factor * Problem(M, BlockObjective([pose_graph_block(graph, name)])).cost(p)
        except InformationError:
            costs[name] = float("nan")
    return costs


def solve_pose_graph(
    graph: PoseGraph,
    objective: str = "chordal",
    *,
    init: Any = "chordal",
    loss: Any = None,
    graduated: bool = False,
    trusted: Any = None,
    certify: bool = False,
    escape: bool = True,
    tolerance_of_certificate: float = 1e-6,
    linear_solver: Any = None,
    damping: Any = None,
    **common: Unpack[Common],
) -> PoseGraphResult:
    r"""Estimate the poses of a graph.

    Parameters
    ----------
    graph : PoseGraph
    objective : {"chordal", "log"}
        ``"chordal"`` (default): F = sum kappa |R_j - R_i Z|^2 + tau |t_j - t_i - R_i z|^2, with isotropic weights
        from the information matrices, see `PoseGraph.isotropic_weights`; it can be certified. ``"log"``: half the sum
        of r'Omega r with r = Log(Z^-1 T_i^-1 T_j) and the information matrices Omega as they are.
    init : {"chordal", "spectral", "odometry", "spanning-tree", "file"} or array of shape (n, d (d + 1))
        Where to start, see `manifold_opt.pose_graphs.initial_poses`.
    loss : str or Loss, optional
        Robust loss of the norm of each edge's residual.
    graduated : bool
        Look for outliers by graduated non-convexity with truncated squares, and trust what is left. Outliers are edges
        with a residual beyond the 99.9 % quantile of the noise that the information matrices speak of.
    trusted : array of bool, shape (m,), optional
        Edges that are no outliers whatever ``loss`` and ``graduated`` say; default those from each pose to the next.
    certify : bool
        Prove global optimality, for the chordal objective; of a graduated fit for the edges that are believed.
    escape : bool
        Where the proof fails, try the other starts, and then climb the staircase of relaxations
        (`manifold_opt.pose_graphs.climb`), for up to a minute, to a better minimum.
    tolerance_of_certificate : float
        Largest relative gap that counts as optimal.
    linear_solver, damping : optional
        See `levenberg_marquardt`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    PoseGraphResult

    Raises
    ------
    ValueError
        On keywords that do not go together.
    InformationError
        When information matrices are not positive definite and the objective needs them to be: see
        `PoseGraph.repaired`.

    Examples
    --------
    >>> from manifold_opt import solve_pose_graph
    >>> from manifold_opt.datasets import ring_graph
    >>> graph = ring_graph(100, rotation_noise=0.02, translation_noise=0.05, rng=0)
    >>> result = solve_pose_graph(graph, certify=True)
    >>> result.converged, result.certificate.optimal
    (True, True)
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"`objective` must be 'chordal' or 'log'; got {objective!r}.")
    if certify and objective != "chordal":
        raise ValueError("`certify` is for objective='chordal'; there is no certificate for the logarithms.")
    if certify and loss is not None:
        raise ValueError("`certify` is for squares; leave out `loss`, or take graduated=True, which ends with squares.")
    if graduated and loss is not None:
        raise ValueError("give either `loss` or graduated=True, which brings its own.")
    pose_graph_block(graph, objective)  # raises before any work is done
    seconds: dict[str, float] = {}
    clock = time.perf_counter()
    start, name = _start(graph, init)
    seconds["init"] = time.perf_counter() - clock
    options = {"linear_solver": linear_solver, "damping": damping, **common}
    clock = time.perf_counter()
    graph_used = graph
    if graduated:
        weights, near = _inliers(graph, objective, start, _trusted(graph, trusted), linear_solver)
        graph_used = _part(graph, weights > 0.5)
        solved = _solved(graph_used, [pose_graph_block(graph_used, objective)], near, options)
    else:
        blocks, weights = _blocks(graph, objective, loss, trusted), None
        solved = _solved(graph, blocks, start, options)
    seconds["solve"] = time.perf_counter() - clock
    answer = PoseGraphResult(
        **{name: getattr(solved, name) for name in Result.__dataclass_fields__},
        graph=graph,
        poses=graph.manifold.split(solved.point)[0],
        objective=objective,
        weights=weights,
        start=start,
        init=name,
        initial_costs=pose_graph_costs(graph_used, start),
        seconds=seconds,
    )
    if certify:
        _certified(answer, graph_used, escape, tolerance_of_certificate, options)
    answer.costs = pose_graph_costs(graph_used, answer.poses)
    return answer


def _start(graph: PoseGraph, init: Any) -> tuple[Any, str]:
    """Poses to start from, and how they were found."""
    if isinstance(init, str):
        return initial_poses(graph, init), init
    poses = np.array(init, dtype=float)
    shape = (graph.num_poses, graph.pose_manifold.point_shape[0])
    if poses.size != shape[0] * shape[1]:
        raise ValueError(f"`init` must be the name of a method or poses of shape {shape}; got shape {poses.shape}.")
    return poses.reshape(shape), "given"


def _trusted(graph: PoseGraph, trusted: Any) -> Any:
    """Mask of the edges that are no outliers."""
    if trusted is None:
        return np.abs(np.diff(graph.edges, axis=1)[:, 0]) == 1
    mask = np.asarray(trusted)
    if mask.dtype != bool or mask.shape != (graph.num_edges,):
        raise ValueError(f"`trusted` must be a mask of shape {(graph.num_edges,)}; got {mask.dtype} of {mask.shape}.")
    return mask


def _blocks(graph: PoseGraph, objective: str, loss: Any, trusted: Any) -> list[ResidualBlock]:
    """One family, or one without and one with the loss."""
    if as_loss(loss) is None:
        return [pose_graph_block(graph, objective)]
    safe = _trusted(graph, trusted)
    parts = ((safe, None), (~safe, loss))
    return [pose_graph_block(graph, objective, mask, loss=own) for mask, own in parts if mask.any()]


def _reduced(graph: PoseGraph, blocks: list[ResidualBlock], start: Any) -> Any:
    """The problem without the anchors."""
    M = graph.manifold
    return fix(M, BlockObjective(blocks), M.join(start), {"poses": graph.anchors})


def _solved(graph: PoseGraph, blocks: list[ResidualBlock], start: Any, options: Any) -> Result:
    small = _reduced(graph, blocks, start)
    result = levenberg_marquardt(small.manifold, small.objective, small.p0, **options)
    result.point = small.lift(result.point)
    return result


def _inliers(graph: PoseGraph, objective: str, start: Any, trusted: Any, solver: Any) -> tuple[Any, Any]:
    """Weights of all edges by graduated non-convexity, and the poses that belong to them."""
    p = graph.information.shape[1]
    block = pose_graph_block(graph, objective)
    M = graph.manifold
    i, j = graph.edges.T

    def squares(poses: Any) -> Any:
        r = block.residual(poses[i], poses[j], *block.data)
        W = block.sqrt_information
        return np.sum((r if W is None else np.einsum("nab,nb->na", W, r)) ** 2, axis=1)

    def minimize(poses: Any, weights: Any) -> tuple[Any, float]:
        small = _reduced(graph, [pose_graph_block(graph, objective, weights=weights)], poses)
        result = levenberg_marquardt(small.manifold, small.objective, small.p0, stopping=_STAGE, linear_solver=solver)
        return M.split(small.lift(result.point))[0], result.cost

    return believed_edges(graph, minimize, squares, start, trusted, chi_quantile(_INSIDE, p))


def _part(graph: PoseGraph, mask: Any) -> PoseGraph:
    """The graph with some of its edges."""
    inliers = None if graph.inliers is None else graph.inliers[mask]
    return replace(
        graph,
        edges=graph.edges[mask],
        measurements=graph.measurements[mask],
        information=graph.information[mask],
        inliers=inliers,
    )


def _certified(answer: PoseGraphResult, graph: PoseGraph, escape: bool, tolerance: float, options: Any) -> None:
    """Add a certificate; where it fails, look for a better minimum and for a bound on what is left to gain."""
    clock = time.perf_counter()
    certificate = certificate_for(graph, answer.poses, tolerance=tolerance)
    answer.seconds["certify"] = time.perf_counter() - clock
    answer.certificate = certificate
    if certificate.optimal or not escape or not answer.converged:
        return
    from .staircase import climb, rounded

    clock = time.perf_counter()
    _restarted(answer, graph, tolerance, options)
    if not answer.certificate.optimal:
        relaxed = climb(graph, answer.poses, answer.certificate)
        answer.ranks = relaxed.ranks
        _improve(answer, graph, _placed(graph, rounded(graph, relaxed.Y)), tolerance, options)
        certificate = answer.certificate
        if not certificate.optimal and relaxed.certificate.optimal:
            # the relaxation is a bound, if not a tight one
            gap = max(certificate.cost - (relaxed.certificate.cost - relaxed.certificate.gap), 0.0)
            gap = min(gap, certificate.gap)
            answer.certificate = replace(certificate, gap=gap, optimal=gap <= tolerance * certificate.cost)
        if answer.certificate.optimal:
            answer.escaped_by = "relaxation"
    answer.seconds["escape"] = time.perf_counter() - clock


def _restarted(answer: PoseGraphResult, graph: PoseGraph, tolerance: float, options: Any) -> None:
    """Try the other starts, which cost little, until one leads to a certified minimum."""
    for method in METHODS:
        if method == answer.init:
            continue
        with contextlib.suppress(ValueError):  # not all starts are for all graphs
            _improve(answer, graph, initial_poses(graph, method), tolerance, options)
        if answer.certificate.optimal:  # type: ignore[union-attr]  # there is one
            answer.escaped_by = method
            return


def _improve(answer: PoseGraphResult, graph: PoseGraph, start: Any, tolerance: float, options: Any) -> None:
    """Solve from another start, and take what is lower."""
    better = _solved(graph, [pose_graph_block(graph)], start, options)
    if not better.cost < answer.cost * (1.0 - 1e-10):
        return
    for name in Result.__dataclass_fields__:
        setattr(answer, name, getattr(better, name))
    answer.poses = graph.manifold.split(better.point)[0]
    answer.certificate = certificate_for(graph, answer.poses, tolerance=tolerance)


def _placed(graph: PoseGraph, poses: Any) -> Any:
    """Poses moved together so that the first anchor is where it belongs."""
    SE, a = graph.pose_manifold, int(graph.anchors[0])
    target = SE.identity() if graph.poses is None else graph.poses[a]
    return SE.compose(SE.compose(target, SE.inverse(poses[a])), poses)
