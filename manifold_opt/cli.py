"""The command line: a demo on real data, means and registrations of points in files.

Exit codes: 0 all well; 1 a solver did not converge, or an answer failed its check; 2 bad arguments or files, with one
line on standard error that says which.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__

FILES = """
files: .npy, or .csv with one point a row (a heading line is skipped); matrices row by row, n*n numbers a row, or as a
.npy array of shape (N, n, n).
"""

EPILOG = """
examples:
  %(prog)s demo --plots figures          five problems on real data, checked by independent means
  %(prog)s mean directions.csv --manifold sphere
  %(prog)s mean covariances.npy --manifold spd --json
  %(prog)s fit-rotation before.csv after.csv --rigid
  %(prog)s pose-graph sphere.g2o --certify --plot before-after.png

exit codes: 0 all well; 1 not converged, or a check failed; 2 bad arguments or files.
"""


class UsageError(Exception):
    """Bad arguments or files; the message is one line for standard error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        The exit code, see the module.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return options.run(options)
    except UsageError as error:
        sys.stderr.write(f"manifold-opt: {error}\n")
        return 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets ``run``, a function of the parsed options."""
    parser = argparse.ArgumentParser(
        prog="manifold-opt",
        description="Optimization and nonlinear least squares on manifolds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"manifold_opt {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    demo = commands.add_parser(
        "demo",
        help="solve five problems on real data and check the answers",
        description="Solve five problems on data that the geomstats package ships: the Fréchet mean of 86 brain "
        "connectomes (SPD matrices), a rotation and a rigid motion fitted to camera poses, the mean of 50 cities on "
        "the sphere and the great circle that fits them best. Each answer is checked by independent means.",
    )
    demo.add_argument("--plots", metavar="DIR", type=Path, help="write figures (.png) into this folder")
    demo.set_defaults(run=run_demo)

    mean = commands.add_parser(
        "mean",
        help="Fréchet mean of points in a file",
        description="The Fréchet mean: the point of the manifold with the least mean squared distance to the data.",
        epilog=FILES,
    )
    mean.add_argument("points", metavar="FILE", type=Path, help="the points")
    mean.add_argument(
        "--manifold",
        required=True,
        choices=("euclidean", "sphere", "rotations", "spd"),
        help="where the points live; its size is taken from the file",
    )
    mean.set_defaults(run=run_mean)

    fit = commands.add_parser(
        "fit-rotation",
        help="the rotation (or rigid motion) that takes one point set to another",
        description="The rotation R, with --rigid also the translation t, for which R a + t comes closest to b in the "
        "sense of least squares; a and b are corresponding points, one a row.",
        epilog=FILES,
    )
    fit.add_argument("a", metavar="A", type=Path, help="points to be moved")
    fit.add_argument("b", metavar="B", type=Path, help="where they should go")
    fit.add_argument("--rigid", action="store_true", help="look for a translation too")
    fit.set_defaults(run=run_fit_rotation)

    from .pose_graphs import command as pose_graph

    graph = pose_graph.add_parser(commands)
    graph.set_defaults(run=run_pose_graph)

    for command in (mean, fit):
        command.add_argument("--weights", metavar="FILE", type=Path, help="one number per point; default: equal")
        command.add_argument("--output", metavar="FILE.npy", type=Path, help="write the answer here")
    for command in (demo, mean, fit, graph):
        command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def run_demo(options: argparse.Namespace) -> int:
    """Solve, check, print and draw the demo's problems."""
    from . import demo
    from .demo import report

    figures = _figures(options.plots)
    try:
        outcomes = list(demo.solve_all())
    except FileNotFoundError as error:
        raise UsageError(str(error)) from None
    study = demo.shrinkage_study(outcomes[0])
    files = figures.draw(outcomes, options.plots) if figures else []
    answer = report.as_json(outcomes, study)
    if options.json:
        _print_json({**answer, "plots": [str(file) for file in files]})
    else:
        _print(report.table(outcomes), "", report.study_table(study), "", *report.NOTES)
        _write_lines(*(f"wrote {file}" for file in files))
    return 0 if answer["passed"] else 1


def _figures(folder: Path | None) -> Any:
    """The module that draws the demo, or None where no figures are wanted."""
    if folder is None:
        return None
    try:
        from .plots import demo

        folder.mkdir(parents=True, exist_ok=True)
    except ImportError:
        raise UsageError("--plots needs matplotlib: install it, or leave the option out.") from None
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}.") from None
    return demo


def run_mean(options: argparse.Namespace) -> int:
    """Fréchet mean of a file."""
    from . import functions
    from .datasets import files
    from .solvers import gradient_descent

    try:
        M, points = files.points_on(options.manifold, files.read_array(options.points), options.points)
        weights = files.read_weights(options.weights, len(points)) if options.weights else None
    except files.BadFile as error:
        raise UsageError(str(error)) from None
    f = functions.FrechetMean(M, points, weights)
    result = gradient_descent(M, f.fused, f.start())
    heading = {"manifold": repr(M), "points": len(points)}
    return _finish(options, heading, result, {"mean": result.point})


def run_fit_rotation(options: argparse.Namespace) -> int:
    """Registration of two files."""
    import numpy as np

    from . import functions
    from .datasets import files
    from .solvers import levenberg_marquardt

    try:
        a, b = files.read_array(options.a), files.read_array(options.b)
        weights = files.read_weights(options.weights, len(a)) if options.weights else None
    except files.BadFile as error:
        raise UsageError(str(error)) from None
    if a.ndim != 2 or a.shape != b.shape or a.shape[1] < 2:
        raise UsageError(
            f"{options.a} and {options.b}: have shapes {a.shape} and {b.shape}; "
            "give as many points in both, rows of the same length, at least two numbers each."
        )
    problem: Any = (functions.RigidRegistration if options.rigid else functions.RotationRegistration)(a, b, weights)
    M = problem.manifold
    # The closed form decides which of the critical points is meant; Levenberg-Marquardt confirms and polishes it.
    R, t = functions.kabsch(a, b, weights, translation=options.rigid)
    result = levenberg_marquardt(M, problem.residual, M.join(R, t) if options.rigid else R, jacobian=problem.jacobian)
    R, t = M.split(result.point) if options.rigid else (result.point, np.zeros(a.shape[1]))
    distances = np.linalg.norm(a @ R.T + t - b, axis=1)
    heading = {"manifold": repr(M), "points": len(a), "largest_distance": float(distances.max())}
    answers = {"rotation": R, "translation": t} if options.rigid else {"rotation": R}
    return _finish(options, heading, result, answers)


def run_pose_graph(options: argparse.Namespace) -> int:
    """Poses of a g2o file."""
    from .pose_graphs import command

    try:
        result, files = command.run(options)
    except command.CommandError as error:
        raise UsageError(str(error)) from None
    if options.json:
        _print_json(command.as_json(result, files))
    else:
        _write_lines(*(f"{name:>12}  {text}" for name, text in result.lines()))
        _write_lines(*(f"wrote {file}" for file in files))
    return 0 if command.succeeded(result) else 1


def _finish(options: argparse.Namespace, heading: dict[str, Any], result: Any, answers: dict[str, Any]) -> int:
    """Write and print an answer; return the exit code."""
    from .demo import report

    if options.output is not None:
        _write(options.output, result.point)
    said = {key: value for key, value in report.summary(result).items() if key != "point"}
    if options.json:
        _print_json({**heading, **said, **{name: array.tolist() for name, array in answers.items()}})
    else:
        lines = {**heading, **said, "evaluations": report.evaluations(result)}
        _write_lines(*(f"{name.replace('_', ' '):>17}  {_shown(value)}" for name, value in lines.items()))
        _write_lines(*(f"{name}:\n{array}" for name, array in answers.items()))
    return 0 if result.converged else 1


def _shown(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _write(path: Path, array: Any) -> None:
    import numpy as np

    if path.suffix != ".npy":
        raise UsageError(f"--output {path}: must end in .npy.")
    try:
        np.save(path, array, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from None


def _print_json(answer: dict[str, Any]) -> None:
    _write_lines(json.dumps(answer, indent=2, ensure_ascii=False))


def _write_lines(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _print(*parts: Any) -> None:
    """Tables, and paragraphs that wrap at words, to standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    for part in parts:
        console.print(part, markup=False if isinstance(part, str) else None)
