"""Observables: sums of Pauli products, exact in a state and estimated from records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
