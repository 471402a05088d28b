"""Judgement: divergences, fidelities and observables, each with its error bar."""
