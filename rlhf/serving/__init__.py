"""An OpenAI-compatible endpoint for policies: what `rlhf.serve` starts."""
