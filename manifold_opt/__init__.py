"""Optimization and nonlinear least squares on manifolds."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
