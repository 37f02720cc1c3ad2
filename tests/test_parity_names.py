"""The page of names elsewhere tells the truth."""

from __future__ import annotations

import parity_names
import pytest
from parity_names import Row

import manifold_opt


def test_the_page_is_up_to_date():
    assert parity_names.PAGE.read_text(encoding="utf-8") == parity_names.page(), "run: python tests/parity_names.py"


@pytest.mark.parametrize("row", [row for row in parity_names.rows() if row.here], ids=lambda row: row.there)
def test_every_name_exists(row: Row):
    names = parity_names.code(row.here)
    assert names or row.here == "automatic"
    for name in names:
        parity_names.require(name)


@pytest.mark.parametrize("row", [row for row in parity_names.rows() if not row.here], ids=lambda row: row.there)
def test_what_is_missing_is_missing_and_why_is_said(row: Row):
    assert row.note
    assert not row.absent or not hasattr(manifold_opt, row.absent), f"{row.absent} exists now: say so in its row"


def test_a_name_that_does_not_exist_is_found_out():
    for wrong in ("gradient_decent", "gradient_descent(stepsiz=)", "Result.pont", "quasi_newton(memry=)"):
        with pytest.raises(AttributeError):
            parity_names.require(wrong)


@pytest.mark.parametrize("default", parity_names.defaults(), ids=lambda d: f"{d.name}-{d.what}")
def test_defaults_are_read_from_the_code(default: parity_names.Default):
    assert parity_names.ours(default.here)
