"""Figures of a run: `metrics.jsonl`, the trackers beside it, and progress in the console. No torch."""

from rlhf.metrics.log import JoinedLog, MetricsLog, Tracker, read_metrics
from rlhf.metrics.progress import Progress, duration, figure

__all__ = ["JoinedLog", "MetricsLog", "Progress", "Tracker", "duration", "figure", "read_metrics"]
