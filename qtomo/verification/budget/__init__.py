"""The error budget: rates of all local errors of all qubits fitted together, and the fidelity that each costs."""
