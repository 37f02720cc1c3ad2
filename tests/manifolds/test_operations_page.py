"""The table of manifolds and operations tells what the manifolds declare."""

from __future__ import annotations

import manifold_table
import pytest

from manifold_opt.manifolds import Sphere, Stiefel, TangentBundle


def test_the_page_is_up_to_date():
    assert manifold_table.PAGE.read_text("utf-8") == manifold_table.page(), "run: python tests/manifold_table.py"


def test_signs():
    assert manifold_table.sign(Sphere(2), ("exp",)) == manifold_table.CLOSED
    assert manifold_table.sign(Sphere(2), ("squared_distance",)) == manifold_table.FALLBACK
    assert manifold_table.sign(TangentBundle(Sphere(2)), ("exp",)) == manifold_table.MISSING


def test_instances_that_differ_have_rows_of_their_own():
    same = manifold_table.rows([Sphere(2), Sphere(3)], "Sphere")
    assert [row[0] for row in same] == ["`Sphere`"]
    row = manifold_table.rows([Stiefel(5, 2)], "Stiefel")
    assert row[0][1] == manifold_table.CLOSED or row[0][1] == manifold_table.FALLBACK


def test_every_public_manifold_has_a_row(monkeypatch):
    text = manifold_table.page()
    for name in manifold_table.instances():
        assert f"`{name}" in text
    import manifolds.all_manifolds as listed

    monkeypatch.setattr(listed, "MANIFOLDS", [M for M in listed.MANIFOLDS if type(M) is not Sphere])
    with pytest.raises(LookupError, match="Sphere"):
        manifold_table.instances()
