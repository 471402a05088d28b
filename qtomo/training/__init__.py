"""Training: strict settings, one loop for every family, checkpoints and run folders."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
