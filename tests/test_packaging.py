"""The version has one source, and the files that repeat it agree."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import manifold_opt

ROOT = Path(__file__).parents[1]


def test_installed_version_is_the_package_version():
    assert version("manifold_opt") == manifold_opt.__version__


def test_citation_names_this_version():
    stated = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert stated is not None and stated[1] == manifold_opt.__version__


def test_changelog_has_a_place_for_this_version():
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    released = "dev" not in manifold_opt.__version__
    assert headings[0] == (manifold_opt.__version__ if released else "Unreleased")
    assert len(headings) == len(set(headings))


def test_the_package_is_typed():
    assert (Path(manifold_opt.__file__).parent / "py.typed").exists()
