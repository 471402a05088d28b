"""Models of outcome distributions, one family a file, and the k-gram baselines."""
