"""Reasons to end a PPO run before its last iteration, in words; its best checkpoint stands all the same."""

from collections.abc import Mapping

from rlhf.config import PpoStage
from rlhf.training.degenerate import Figures, degenerate_ends
from rlhf.training.ppo import Progress


def reason_to_end(stage: PpoStage, progress: Progress, now: Figures, found: Mapping[str, str]) -> str:
    """Why the run ends after the iteration that gave the figures `now`; "" where it goes on.

    `found` are that iteration's warnings (`diagnose`). While the critic alone learns, and at the last
    iteration, there is nothing to end.
    """
    if progress.iteration <= stage.critic_warmup or progress.iteration >= stage.num_iterations:
        return ""
    if stage.stop_kl is not None and now["kl"] > stage.stop_kl:
        return f"KL is {now['kl']:.1f} nats a response, past stage.stop_kl={stage.stop_kl:g}"
    ends = degenerate_ends(found, progress.first) if stage.stop_on_degenerate else []
    if ends:
        return f"{', '.join(ends)}, as stage.stop_on_degenerate asks"
    if stage.plateau_patience is not None and progress.looks_without_gain >= stage.plateau_patience:
        return (
            f"{progress.looks_without_gain} evaluations without a better checkpoint, as many as "
            "stage.plateau_patience allows"
        )
    return ""
