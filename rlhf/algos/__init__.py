"""Pure functions of tensors: masks, log-probabilities, advantages, KL, losses, calibration, intervals.

Names carry shapes: `_BT` is batch and time, where column t is the t-th response token and rows are
padded on the right; `_B` is batch; `_BTV` adds the vocabulary. A mask is True where a token counts
(the end token counts), and whatever stands where it is False, NaN and infinity included, changes
neither a result nor a gradient. Inputs keep their dtype unless a docstring says otherwise.
"""
