"""The page that lists, row by row, what the forerunners' least squares can do and which test shows it here."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "parity_least_squares.md"
LISTS = {
    "TensorFlow Graphics: minimize": "solvers/test_minimize_residuals.py",
    "Manopt.jl: LevenbergMarquardt": "solvers/test_parity_manopt.py",
    "Numerics.NET: least squares": "solvers/test_parity_numerics_net.py",
}
HEAD = """# Parity in least squares

What the least squares of TensorFlow Graphics, Manopt.jl and Numerics.NET can do, and the test that shows each of it
here. This page is made from the tests by `python tests/parity.py`; a test fails where it is not up to date.
"""


def rows(path: str) -> list[tuple[str, str, str]]:
    """Item, how it is done here, and the name of the test, from the docstrings of the tests in a file."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = " ".join((ast.get_docstring(node) or "").split())
            item, separator, here = text.partition(": ")
            if not separator:
                raise ValueError(f"{node.name} of {path} needs a docstring 'item: how it is done here'.")
            found.append((item, here, node.name))
    return found


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, path in LISTS.items():
        lines = [f"| {item} | {here} | `{test}` |" for item, here, test in rows(path)]
        parts.append(
            "\n".join(
                [f"## {title}", "", f"`tests/{path}`", "", "| there | here | test |", "| --- | --- | --- |", *lines]
            )
            + "\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
