"""Training: a strict config, one loop for every family, checkpoints that resume exactly."""
