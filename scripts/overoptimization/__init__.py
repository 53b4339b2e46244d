"""What `scripts/study_overoptimization.py` is made of: a world with a gold rater, runs, fits, a page."""
