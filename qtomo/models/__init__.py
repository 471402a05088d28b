"""Generative models of measurement records, one family a file."""
