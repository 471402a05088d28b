"""Tests of records against a hypothesis. A check is a function from a context to tests; CHECKS lists them."""
