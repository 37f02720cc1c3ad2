"""What comes after a least-squares fit: errors, intervals, what is undetermined, and a report."""

from .fit import FitStatistics as FitStatistics
from .fit import fit_statistics as fit_statistics
from .information import NullDirection as NullDirection
from .sparse import SparseStatistics as SparseStatistics
from .undetermined import Undetermined as Undetermined
from .variables import Variable as Variable
from .variables import variables as variables
