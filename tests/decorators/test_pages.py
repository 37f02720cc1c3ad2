"""The pages on stopping and watching say what the code does."""

import pathlib
import re

import pytest

from manifold_opt.decorators import QUANTITIES, quantity_table
from manifold_opt.stopping import MEANING

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_the_table_of_quantities_is_current():
    page = (DOCS / "watching.md").read_text("utf-8")
    assert quantity_table().strip() in page
    assert all(f"| `{name}` |" in page for name in QUANTITIES)


def test_the_table_of_criteria_is_complete_and_true():
    page = (DOCS / "stopping.md").read_text("utf-8")
    for name, status in MEANING.items():
        (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`{name}(" in line]
        assert row.split("|")[-2].strip() == f"`{status.name}`"


@pytest.mark.parametrize("name", ["stopping.md", "watching.md"])
def test_the_code_on_the_page_runs(name, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text("utf-8"), re.DOTALL)
    namespace = {"__name__": name}
    for block in blocks:
        exec(compile(block, name, "exec", dont_inherit=True), namespace)
    assert "0" in capsys.readouterr().out
