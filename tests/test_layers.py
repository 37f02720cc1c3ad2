"""Imports point one way: each room of the package uses only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "manifold_opt"

LAYERS = [
    {"linalg"},
    {"manifolds"},
    {"autodiff", "objectives", "functions"},
    {"core", "stopping", "stepsizes", "directions", "decorators"},
    {"solvers"},
    {"checks", "testing", "plots", "datasets", "statistics", "pose_graphs"},
    {"cli", "demo", "__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def without_type_checking(tree: ast.AST):
    """The nodes of a module, leaving out `if TYPE_CHECKING:` blocks, which no program runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from without_type_checking(node)


def imported_rooms(path: Path) -> set[str]:
    package = ("manifold_opt", *path.relative_to(PACKAGE).parts[:-1])
    names: list[str] = []
    for node in without_type_checking(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, node.module] if node.module else base)
            names += [f"{module}.{alias.name}" for alias in node.names]
    parts = [name.split(".") for name in names]
    return {p[1] for p in parts if p[0] == "manifold_opt" and len(p) > 1 and not p[1].startswith("__version")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in RANK, f"give the new room {room!r} its place in LAYERS (and in docs/design.md)"
    unknown = {other for other in imported_rooms(path) if other not in RANK}
    assert not unknown, f"import from the room that defines them, not from the package: {unknown}"
    upwards = {other for other in imported_rooms(path) if RANK[other] > RANK[room]}
    assert not upwards, f"{room} must not import {upwards}"


def test_no_environment_variables_in_the_package():
    readers = [path for path in FILES if "os.environ" in (s := path.read_text("utf-8")) or "getenv" in s]
    assert readers == []
