from .config import TrainingConfig as TrainingConfig
from .config import read_settings as read_settings
from .launch import resume as resume
from .launch import train as train
from .presets import PRESETS as PRESETS
from .run import Run as Run
from .sweep.trials import Sweep as Sweep
