"""Pose graphs: estimates of many poses from measurements of some relative to others."""

from .graph import InformationError as InformationError
from .graph import PoseGraph as PoseGraph
