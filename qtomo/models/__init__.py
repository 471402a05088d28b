"""Models of outcome distributions, one family per file or folder, and the k-gram baselines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
