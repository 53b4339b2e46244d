"""The state of a PPO run on the disk: trained weights, optimiser, progress; exact to the bit.

It is whole whatever the number of processes, so another number of them can go on from it.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rlhf.algos.running import RunningMoments
from rlhf.metrics import MetricsLog
from rlhf.rewards.base import restore, state_of
from rlhf.runs import Run
from rlhf.training.ppo import Ppo, Progress
from rlhf.training.sharding import placed_as, placed_moments, whole, whole_moments

STATE_FILE = "state.pt"


def save(run: Run, ppo: Ppo, progress: Progress, log: MetricsLog) -> None:
    """Writes `state/step-N/`, N the iteration, whole or not at all; all processes call it together."""
    keep = ppo.processes.is_main
    weights: dict[str, torch.Tensor] = {}
    for name, value in ppo.trained_tensors().items():
        gathered = whole(value.detach())
        if keep:
            weights[name] = gathered.cpu()
    moments = whole_moments(ppo.optimizer, keep=keep)
    plain = {**vars(progress), "kl": progress.kl.state_dict(), "scores": asdict(progress.scores)}

    def write(folder: Path) -> None:
        state: dict[str, Any] = {
            "weights": weights,
            "optimizer": moments,
            "progress": plain,
            "reward": state_of(ppo.reward),
            "metrics_position": log.position(),
        }
        torch.save(state, folder / STATE_FILE)

    run.save_state(progress.iteration, write)


def load(run: Run, ppo: Ppo, progress: Progress, log: MetricsLog) -> bool:
    """Takes up the newest whole state, `metrics.jsonl` cut back to it; False where there is none."""
    latest = run.latest_state()
    if latest is None:
        log.rewind(0)
        return False
    state = torch.load(latest[1] / STATE_FILE, map_location="cpu", weights_only=True)
    with torch.no_grad():
        for name, value in ppo.trained_tensors().items():
            value.copy_(placed_as(state["weights"][name].to(value.device), value))
    ppo.optimizer.load_state_dict(placed_moments(state["optimizer"], ppo.optimizer))
    restore(ppo.reward, state["reward"])
    saved: dict[str, Any] = state["progress"]
    progress.kl = progress.kl.with_state(saved.pop("kl"))
    progress.scores = RunningMoments(**saved.pop("scores"))
    for name, value in saved.items():
        setattr(progress, name, value)
    log.rewind(state["metrics_position"])
    return True
