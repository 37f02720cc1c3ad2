"""The exceptions that manifolds raise."""

from __future__ import annotations

__all__ = ["MissingOperation", "NotOnManifold", "NotTangent"]


class MissingOperation(NotImplementedError):
    """A manifold does not have an operation and nothing can honestly stand in for it.

    The message names what can be called instead. ``M.has(name)`` answers beforehand.
    """


class NotOnManifold(ValueError):
    """An array is not a point of the manifold: wrong shape, not finite, or a constraint is violated."""


class NotTangent(ValueError):
    """An array is not a tangent vector at the point: wrong shape, not finite, or not tangent."""
