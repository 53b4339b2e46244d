"""What `scripts/check_promotion.py` is made of: the exact test, trials of it, and trials of the guards."""
