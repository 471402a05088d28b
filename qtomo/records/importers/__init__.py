"""Import formats: one file each, which reads a foreign file as outcomes or as shots with settings.

A format is a function of a path and keyword options; the command line makes its options from the signature.
"""
