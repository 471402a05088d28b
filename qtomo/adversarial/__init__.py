"""Learning by comparison: critics that tell samples of two distributions apart, and what they are worth."""
