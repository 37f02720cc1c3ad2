"""Data files inside the installed geomstats wheel, found without importing geomstats.

Importing geomstats takes seconds, brings pandas and scikit-learn with it and fails under some NumPy versions; its data
files are plain CSV and JSON.
"""

from __future__ import annotations

import csv
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def shipped_file(name: str) -> Path:
    """Path of a data file of geomstats.

    Parameters
    ----------
    name : str
        Path below the package's ``datasets/data``, with forward slashes.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        When geomstats is not installed or its installation has no such file.
    """
    spec = find_spec("geomstats")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "this data set is a file of the geomstats package, which is not installed: install geomstats >= 2.8."
        )
    path = Path(spec.origin).parent.joinpath("datasets", "data", *name.split("/"))
    if not path.is_file():
        raise FileNotFoundError(
            f"the installed geomstats has no data file {name!r} (looked for {path}): "
            "install geomstats >= 2.8 from its wheel, which ships the data."
        )
    return path


def shipped_rows(name: str) -> list[list[str]]:
    """Rows of a shipped CSV file, without its heading."""
    with shipped_file(name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def shipped_records(name: str) -> list[dict[str, Any]]:
    """Records of a shipped JSON file."""
    return json.loads(shipped_file(name).read_text(encoding="utf-8"))
