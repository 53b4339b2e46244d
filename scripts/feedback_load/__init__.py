"""Simulated raters of the feedback page: what they judge, how they reach it, and whether the store holds."""
