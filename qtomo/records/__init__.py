"""The record file: measurement outcomes with everything needed to interpret them, in HDF5."""
