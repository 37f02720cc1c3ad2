"""Costs and residuals with known derivatives, ready to be minimized."""

from .frechet import FrechetMean as FrechetMean
from .registration import RigidRegistration as RigidRegistration
from .registration import RotationRegistration as RotationRegistration
from .registration import kabsch as kabsch
from .regression import GeodesicRegression as GeodesicRegression
