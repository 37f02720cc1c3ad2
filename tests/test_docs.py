"""The code on the pages of the documentation runs, and its assertions hold."""

from __future__ import annotations

import re
import sys
import types
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def code_blocks(page: Path) -> list[tuple[int, str]]:
    """Line numbers and texts of the fenced Python blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n"), match[1]) for match in found]


WITH_CODE = [page for page in PAGES if code_blocks(page)]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_of_the_page_runs(page, tmp_path, monkeypatch):
    """All blocks of a page are one program, run where it may leave files."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")  # a real one: dataclasses look theirs up
    monkeypatch.setitem(sys.modules, "page", module)
    for line, block in code_blocks(page):
        code = compile("\n" * line + block, str(page), "exec")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(code, vars(module))


def test_the_quick_start_asserts_what_it_claims():
    text = "".join(block for _, block in code_blocks(ROOT / "docs" / "quickstart.md"))
    assert text.count("assert ") >= 5
