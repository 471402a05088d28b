from .dense import Reconstruction as Reconstruction
from .dense import reconstruct as reconstruct
