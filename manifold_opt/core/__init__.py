"""The loop and what it talks about."""

from .problem import Problem as Problem
from .result import Result as Result
from .solve import solve as solve
from .state import SolverState as SolverState
from .status import Status as Status
