"""Distributions of outcomes that states have by Born's rule: drawn, scored, and weighed site by site."""
