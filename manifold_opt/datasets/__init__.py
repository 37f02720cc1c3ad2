"""Real problems: readers of data that installed packages ship."""

from .cities import Cities as Cities
from .cities import cities as cities
from .connectomes import Connectomes as Connectomes
from .connectomes import connectomes as connectomes
from .poses import CameraPoses as CameraPoses
from .poses import camera_poses as camera_poses
