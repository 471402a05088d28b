"""What records certify: bounds on fidelity and on misfit, each with its assumptions and with what it guarantees.

A classical fidelity certifies nothing. Each certificate is a file of its own.
"""
