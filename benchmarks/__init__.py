"""Compares the function with the alternatives: ``python -m benchmarks``."""
