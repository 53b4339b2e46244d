"""What `scripts/study_loop.py` is made of: arms, cells, raters who stand in, labels, a page."""
