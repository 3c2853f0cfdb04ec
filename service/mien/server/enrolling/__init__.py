"""Samples into galleries: one, or a stream of them, and who is too much like whom."""
