"""Evaluation: two policies on the same prompts: who wins, by how much, how far apart they are; a report."""
