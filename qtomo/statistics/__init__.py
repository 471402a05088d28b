"""Numbers with their errors: estimates, intervals and tests, each saying what it guarantees."""
