"""Importing geomstats under every NumPy, leaving NumPy and logging as they were."""

from __future__ import annotations

import importlib
import logging
import warnings
from typing import Any

import numpy as np

__all__ = ["import_geomstats"]


def import_geomstats(name: str = "geomstats") -> Any:
    """Import geomstats, or one of its modules, under any NumPy that this package supports.

    Parameters
    ----------
    name : str, optional
        Full name of the module, such as ``"geomstats.geometry.siegel"``.

    Returns
    -------
    module
        After the first call ordinary import statements work too.

    Raises
    ------
    ImportError
        When geomstats is not installed or lacks the module.

    Notes
    -----
    geomstats 2.8 imports ``numpy.trapz``, which NumPy 2.4 no longer has: it stands there, under its new name's value,
    while geomstats is imported and no longer. The root logger, whose handlers and level geomstats sets, gets its own
    back.

    Examples
    --------
    >>> from manifold_opt.manifolds import import_geomstats
    >>> Siegel = import_geomstats("geomstats.geometry.siegel").Siegel
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    borrowed = not hasattr(np, "trapz")
    if borrowed:
        vars(np)["trapz"] = vars(np)["trapezoid"]
    try:
        with warnings.catch_warnings():
            # its import hook has the form that Python 3.12 gave up
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "geomstats":
            raise
        raise ImportError(f"{name} needs geomstats, which is not installed: pip install 'geomstats>=2.8'") from error
    finally:
        if borrowed:
            del vars(np)["trapz"]
        root.handlers[:] = handlers
        root.setLevel(level)
