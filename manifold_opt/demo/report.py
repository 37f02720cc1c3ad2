"""The demo's answers for people (a table) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..core import Result
from .problems import AGREEMENT, Outcome, ShrinkageRow


def summary(result: Result) -> dict[str, Any]:
    """What a `Result` says, in plain Python numbers, strings, lists and dictionaries."""
    return {
        "converged": result.converged,
        "status": result.status.name,
        "message": result.message,
        "iterations": result.iterations,
        "evaluations": dict(result.evaluations),
        "cost": result.cost,
        "gradient_norm": result.gradient_norm,
        "time": result.time,
        "point": result.point.tolist(),
    }


def as_json(outcomes: Sequence[Outcome], study: Sequence[ShrinkageRow]) -> dict[str, Any]:
    """The whole demo as one dictionary."""
    return {
        "problems": [
            {
                "problem": o.problem,
                "manifold": o.manifold,
                "solver": o.solver,
                **summary(o.result),
                "check": o.check,
                "agreement": o.agreement,
                "passed": o.passed,
            }
            for o in outcomes
        ],
        "regularization": [asdict(row) for row in study],
        "passed": all(o.passed for o in outcomes),
    }


def evaluations(result: Result, separator: str = ", ") -> str:
    """Counts such as ``12 cost, 9 gradient``."""
    return separator.join(f"{n} {name}" for name, n in result.evaluations.items() if n)


def table(outcomes: Sequence[Outcome]) -> Any:
    """A rich table with a few lines per problem, narrow enough for 80 columns without cutting anything off."""
    from rich import box
    from rich.table import Table

    view = Table(
        title="Real problems, solved and checked",
        box=box.HORIZONTALS,
        show_lines=True,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    view.add_column("problem\n[dim]manifold\nsolver[/dim]", width=32, overflow="fold")
    view.add_column("iterations\n[dim]evaluations[/dim]\ntime", width=12)
    view.add_column("cost\n[dim]|gradient|[/dim]", justify="right", width=12)
    view.add_column("independent check\n[dim]relative error[/dim]", width=18)
    for o in outcomes:
        r = o.result
        mark = "[green]agrees[/green]" if o.passed else f"[red]{'DIFFERS' if r.converged else r.status.name}[/red]"
        view.add_row(
            f"[bold]{o.problem}[/bold]\n[dim]{o.manifold}\n{o.solver}[/dim]",
            f"{r.iterations}\n[dim]{evaluations(r, chr(10))}[/dim]\n{1e3 * r.time:.{0 if r.time > 0.1 else 1}f} ms",
            f"{r.cost:.6e}\n[dim]{r.gradient_norm:.1e}[/dim]",
            f"{o.check}\n{o.agreement:.1e} {mark}",
        )
    return view


def study_table(study: Sequence[ShrinkageRow]) -> Any:
    """A rich table of `shrinkage_study`."""
    from rich import box
    from rich.table import Table

    view = Table(title="How the mean of the connectomes depends on regularization", box=box.HORIZONTALS)
    for heading in (
        "shrinkage",
        "worst\ncondition",
        "distance to\nraw mean",
        "in units of\none person",
        "iterations",
        "relative\nerror",
    ):
        view.add_column(heading, justify="right")
    for row in study:
        view.add_row(
            f"{row.shrinkage:g}",
            f"{row.condition:.0f}",
            f"{row.distance:.4f}",
            f"{row.moved:.2f}",
            f"{row.iterations}",
            f"{row.agreement:.1e}",
        )
    return view


NOTES = (
    "Connectomes: all 86 raw correlation matrices are positive definite (smallest eigenvalue 0.0023), so the mean "
    "above is that of the raw data, without regularization. Shrinkage a replaces each C by (1 - a) C + a I; one person "
    "is how far the mean moves, on average, when a single person is left out.",
    f"An answer agrees when its solver converged and the independent check is within {AGREEMENT:g}, relative.",
)
