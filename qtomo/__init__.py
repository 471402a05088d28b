"""qtomo: which state are the qubits in? Simulate records, learn their distribution, judge the state."""

__version__ = "0.1.0"
