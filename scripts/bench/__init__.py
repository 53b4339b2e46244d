"""What `scripts/bench_ppo.py` is made of. What TRL's environment runs imports no rlhf."""
