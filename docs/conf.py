"""Sphinx configuration."""

from __future__ import annotations

import re

import manifold_opt

project = "manifold_opt"
author = copyright = "the manifold_opt developers"
release = version = manifold_opt.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"manifold_opt {release}"

# Single backticks in docstrings name objects of the package; one that names a parameter or a formula stays plain.
default_role = "py:obj"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}
numpydoc_show_class_members = False
autosummary_generate = False


# What keeps its markup in a docstring: literals, names of objects and *emphasis*.
MARKUP = re.compile(r"(``.*?``|:\w+:`[^`]*`|`[^`]*`_?|(?<![\w\\*])\*{1,2}(?:\\\*)*\w(?:[^*]*[\w.])?\*{1,2}(?![\w*]))")


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: |r| is a norm, p* a point, H. Karcher a person there, not reStructuredText markup."""
    for i, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...", "..", "* ")):
            continue
        parts = MARKUP.split(line)
        parts[::2] = [re.sub(r"(?<!\\)([|*])", r"\\\1", part) for part in parts[::2]]
        lines[i] = re.sub(r"^(\s*[A-Z])\. ", r"\1\\. ", "".join(parts))


def setup(app):
    """Register the hook behind numpydoc's, which also brings in the docstrings of properties."""
    app.connect("autodoc-process-docstring", plain_text, priority=600)
