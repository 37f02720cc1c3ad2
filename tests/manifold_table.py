"""The page "manifold x operation", made from what the manifolds themselves declare."""

from __future__ import annotations

from pathlib import Path

import manifold_opt.manifolds as room
from manifold_opt.manifolds import Manifold

PAGE = Path(__file__).parent.parent / "docs" / "manifolds" / "operations.md"
COLUMNS = {
    "`exp`": ("exp",),
    "`log`": ("log",),
    "`distance`": ("distance",),
    "parallel transport": ("parallel_transport_to",),
    "along a direction": ("parallel_transport_direction",),
    "`mid_point`": ("mid_point",),
    "projection of points": ("project_point",),
    "of vectors": ("project_vector",),
    "coordinates": ("get_coordinates", "get_vector"),
    "gradient": ("riemannian_gradient",),
    "Hessian": ("riemannian_hessian",),
    "Weingarten": ("weingarten",),
    "injectivity radius": ("injectivity_radius",),
    "curvature bounds": ("sectional_curvature_bounds",),
}
# Not in the list of the conformance checks: the interface itself, and what geomstats says differs from space to space.
ELSEWHERE = {"Manifold", "GeomstatsManifold"}
CLOSED, FALLBACK, MISSING = "●", "○", ""
HEAD = """# Manifolds and operations

What every manifold can do: ● by a formula of its own, ○ by a fallback that computes it from others, nothing where
`MissingOperation` is raised. `M.operations` and `M.has(name)` say the same of any manifold, and this page is made from
them by `python tests/manifold_table.py`; a test fails where it is not up to date. Rows with arguments stand where those
decide. {made} have what they are made of, and [bundles](tangent_bundle.md) and [metrics](metrics.md) say what that
leaves; `GeomstatsManifold` has what [geomstats shows in a trial](geomstats.md). All have `inner`, `norm`, tangent
vectors of the embedding, bases, random points and vectors, checks of points and vectors, and `max_step`.
"""


def instances() -> dict[str, list[Manifold]]:
    """The manifolds of the conformance checks by their public class; every public class has one."""
    from manifolds.all_manifolds import MANIFOLDS

    kinds = {name: kind for name, kind in vars(room).items() if isinstance(kind, type) and issubclass(kind, Manifold)}
    public = {kinds[name]: name for name in room.__all__ if name in kinds and name not in ELSEWHERE}
    found: dict[str, list[Manifold]] = {name: [] for name in public.values()}
    for M in MANIFOLDS:
        # a class may make private subclasses of itself, one for each metric
        name = next((public[kind] for kind in type(M).__mro__ if kind in public), None)
        if name is not None:
            found[name].append(M)
    lacking = [name for name, of in found.items() if not of]
    if lacking:
        raise LookupError(f"tests/manifolds/all_manifolds.py lists no {', '.join(lacking)}.")
    return found


def sign(M: Manifold, names: tuple[str, ...]) -> str:
    """How M does these operations."""
    if all(name in M.operations for name in names):
        return CLOSED
    return FALLBACK if all(M.has(name) for name in names) else MISSING


def cells(M: Manifold) -> tuple[str, ...]:
    """The row of M without its name."""
    default = M.default_retraction
    names = [name for name in M._names("retraction") if name != "own"]
    ordered = sorted(names, key=lambda name: name != default)
    return (*(sign(M, names) for names in COLUMNS.values()), ", ".join(f"`{name}`" for name in ordered))


def rows(Ms: list[Manifold], name: str) -> list[tuple[str, ...]]:
    """One row where all instances of a class agree, else one for each kind of answer, with its first instance."""
    different = dict.fromkeys(cells(M) for M in Ms)
    if len(different) == 1:
        return [(f"`{name}`", *cells(Ms[0]))]
    first = {row: next(M for M in Ms if cells(M) == row) for row in different}
    return [(f"`{M!r}`", *row) for row, M in first.items()]


def page() -> str:
    """The whole page."""
    heads = ["manifold", *COLUMNS, "retractions, the default first"]
    found = instances()
    made = [name for name, Ms in found.items() if any(hasattr(M, "manifold") or hasattr(M, "factors") for M in Ms)]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " :-: |" * len(COLUMNS) + " --- |"]
    for name in sorted(set(found) - set(made)):
        lines += ["| " + " | ".join(row) + " |" for row in rows(found[name], name)]
    return "\n".join([HEAD.format(made=", ".join(f"`{name}`" for name in sorted(made))), *lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
