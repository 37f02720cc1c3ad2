"""The command ``manifold-opt pose-graph``: a g2o file in; a report, a g2o file and a picture out."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..datasets.g2o import read_g2o, write_g2o
from ..objectives.losses import LOSSES, as_loss
from .graph import InformationError
from .initialization import METHODS
from .solve import OBJECTIVES, PoseGraphResult, solve_pose_graph

DESCRIPTION = """\
Least squares over the poses of a graph in the plane or in space. The chordal objective, the default, has isotropic
weights from the information matrices and can be certified as globally optimal; the other one takes logarithms and the
information matrices as they are.
"""
EPILOG = """
examples:
  %(prog)s sphere.g2o --certify
  %(prog)s garage.g2o.xz --objective log --init file --out solved.g2o --plot before-after.png
  %(prog)s outliers.g2o --graduated --json

files: g2o text with VERTEX_SE2, EDGE_SE2, VERTEX_SE3:QUAT, EDGE_SE3:QUAT and FIX lines; .xz, .gz and .bz2 are unpacked.
"""


class CommandError(Exception):
    """Arguments that do not go together, or a file that cannot be read or written; one line."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to those of the program, and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "pose-graph",
        help="estimate poses from relative measurements in a g2o file",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("graph", metavar="IN.g2o", type=Path, help="the graph")
    parser.add_argument(
        "--objective", choices=OBJECTIVES, help="what to minimize; default chordal, which --certify implies"
    )
    parser.add_argument("--init", choices=(*METHODS, "file"), default="chordal", help="where to start; default chordal")
    parser.add_argument("--loss", choices=sorted(LOSSES), help="robust loss of all edges but those of the path")
    parser.add_argument("--loss-scale", type=float, metavar="C", help="residual from which on the loss acts; default 1")
    parser.add_argument("--graduated", action="store_true", help="find outliers by graduated non-convexity")
    parser.add_argument(
        "--repair", action="store_true", help="raise negative eigenvalues of information matrices to zero"
    )
    parser.add_argument(
        "--certify", action="store_true", help="prove global optimality, or say that it cannot be proved"
    )
    parser.add_argument("--max-iterations", type=int, metavar="N", help="limit of the solver")
    parser.add_argument("--max-time", type=float, metavar="S", help="limit of the solver, in seconds")
    parser.add_argument("--out", metavar="OUT.g2o", type=Path, help="write the graph with the poses found")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the poses before and after")
    return parser


def run(options: argparse.Namespace) -> tuple[PoseGraphResult, list[Path]]:
    """Read, solve, write.

    Returns
    -------
    result : PoseGraphResult
    files : list of Path
        What was written.

    Raises
    ------
    CommandError
    """
    keywords, draw = _keywords(options), _drawing() if options.plot else None
    try:
        graph = read_g2o(options.graph)
        result = solve_pose_graph(graph.repaired() if options.repair else graph, **keywords)
    except InformationError as error:
        raise CommandError(f"{options.graph}: {error} --repair does the latter.") from None
    except ValueError as error:
        raise CommandError(" ".join(str(error).split())) from None
    files = []
    try:
        if options.out:
            write_g2o(options.out, graph, result.poses)
            files.append(options.out)
        if draw:
            draw(result, options.plot)
            files.append(options.plot)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}.") from None
    return result, files


def _keywords(options: argparse.Namespace) -> dict[str, Any]:
    if options.certify and options.objective == "log":
        raise CommandError("--certify is for the chordal objective; leave out --objective log.")
    if options.loss_scale is not None and not options.loss:
        raise CommandError("--loss-scale needs --loss.")
    loss = as_loss(options.loss)
    if options.loss_scale is not None:
        if not 0.0 < options.loss_scale < math.inf:
            raise CommandError(f"--loss-scale must be positive; got {options.loss_scale:g}.")
        loss = replace(loss, scale=options.loss_scale)  # type: ignore[type-var]  # losses are dataclasses
    limits = {name: getattr(options, name) for name in ("max_iterations", "max_time")}
    return {
        "objective": options.objective or "chordal",
        "init": options.init,
        "loss": loss,
        "graduated": options.graduated,
        "certify": options.certify,
        "progress": not options.json,
        **{name: value for name, value in limits.items() if value is not None},
    }


def _drawing() -> Any:
    try:
        from ..plots.pose_graphs import save
    except ImportError:
        raise CommandError("--plot needs matplotlib: install it, or leave the option out.") from None
    return save


def as_json(result: PoseGraphResult, files: list[Path]) -> dict[str, Any]:
    """What there is to say, without NaN, which JSON does not know."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: known(x) for name, x in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {**known(result.summary()), "files": [str(file) for file in files]}


def succeeded(result: PoseGraphResult) -> bool:
    """Whether the solver converged, and the proof that was asked for was found."""
    return result.converged and (result.certificate is None or result.certificate.optimal)
