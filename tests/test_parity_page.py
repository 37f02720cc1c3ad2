"""The parity page tells what the tests say."""

from __future__ import annotations

import parity


def test_the_page_is_up_to_date():
    assert parity.PAGE.read_text(encoding="utf-8") == parity.page(), "run: python tests/parity.py"


def test_every_row_of_the_lists_has_a_test():
    """28 of TensorFlow Graphics with its own cases, 21 of Manopt.jl with its version 0.6, 18 of Numerics.NET."""
    assert [len(parity.rows(path)) for path in parity.LISTS.values()] == [28, 21, 18]
