"""Five small problems on real data, each solved and then checked by independent means."""

from .problems import Outcome as Outcome
from .problems import shrinkage_study as shrinkage_study
from .problems import solve_all as solve_all
