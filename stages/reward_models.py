"""The reward models that a reward is made of, from the run's inputs and from the paths in `reward`.

Three views of them: as PPO maximises them, as a checkpoint is chosen by (models that PPO does not maximise),
and as an evaluation or a study scores with them.
"""

from dataclasses import dataclass
from pathlib import Path

from rlhf.config import Config
from rlhf.data.encoding import Encoder
from rlhf.errors import InputError
from rlhf.models.loading import context_length, load_tokenizer, with_matrices_in
from rlhf.models.offload import freeze
from rlhf.models.reward_model import load_reward_model
from rlhf.models.roles import Roles
from rlhf.rewards import HelpfulReward, Reward, SafeReward, build_reward, model_paths, needs_validation
from rlhf.rewards.ensemble import member_folders
from rlhf.rewards.model import ModelReward, reward_encoder
from rlhf.runs import Artifact
from stages.judges import model_reward
from stages.shared import Session, experiment_of

VALIDATION_MODEL = "validation_model"


def named_inputs(cfg: Config) -> dict[str, Artifact]:
    """The reward models that `reward` names by path, by their place in it, such as "reward.cost".

    Raises:
        InputError: one of them is not there, or no reward model; names the key.
    """
    return {place: _named(cfg, place, path) for place, path in model_paths(cfg.reward).items()}


@dataclass(frozen=True)
class Maximised:
    """As PPO maximises them: `inputs.reward_model` as one of its roles, frozen; others beside it.

    With `offload` a model is on the device only while it gives its scores.
    """

    here: Session
    roles: Roles
    encoder: Encoder
    offload: bool = False

    def model(self, place: str, path: str | None) -> Reward:
        """See `rlhf.rewards.build.ModelRewards`."""
        if path is not None:
            return self.load(_named(self.here.cfg, place, path).model)
        model = self.roles.reward_model
        assert model is not None
        folder = self.here.inputs["reward_model"].model
        own = _own_encoder(self.here, folder, context_length(model))
        dtype = self.here.machine.dtype
        return ModelReward(
            model,
            own,
            policy_encoder=self.encoder,
            score=self.roles.score,
            dtype=dtype,
            present=self.roles.reward_present,
        )

    def members(self, place: str, path: str | None) -> list[Reward]:
        """See `rlhf.rewards.build.ModelRewards`. The first is one of PPO's roles where it is of
        `inputs.reward_model`."""
        folders = _ensemble(_artifact(self.here, place, path), place)
        first = self.model(place, None) if path is None else self.load(folders[0])
        return [first, *(self.load(folder) for folder in folders[1:])]

    def load(self, folder: str) -> Reward:
        """A model of a folder, frozen, on the device or brought there for each use."""
        model = load_reward_model(folder, trust_remote_code=self.here.cfg.model.trust_remote_code)
        machine = self.here.machine
        with_matrices_in(model, machine.dtype)
        present = freeze(model, machine.device, offload=self.offload)
        own = _own_encoder(self.here, folder, context_length(model))
        return ModelReward(model, own, policy_encoder=self.encoder, dtype=machine.dtype, present=present)


@dataclass(frozen=True)
class HeldOut:
    """As a checkpoint is chosen: by models that PPO does not maximise, where there are such.

    `inputs.validation`, or the `validation_model/` beside a reward model; one model for a whole ensemble.
    """

    maximised: Maximised

    def model(self, place: str, path: str | None) -> Reward:
        """See `rlhf.rewards.build.ModelRewards`."""
        here = self.maximised.here
        if path is None and "validation" in here.inputs:
            return self.maximised.load(here.inputs["validation"].model)
        folder = Path(_artifact(here, place, path).path) / VALIDATION_MODEL
        if folder.is_dir():
            return self.maximised.load(str(folder))
        what = "validation reward model" if path is None else f"validation model beside {place}.path={path}"
        here.say(f"no {what}: the checkpoint is chosen by the reward that PPO maximises")
        return self.maximised.model(place, path)

    def members(self, place: str, path: str | None) -> list[Reward]:
        """See `rlhf.rewards.build.ModelRewards`."""
        return [self.model(place, path)]


def validation_reward(cfg: Config, reward: Reward, maximised: Maximised) -> Reward:
    """What a checkpoint is chosen by: `reward` itself, or where it holds reward models others in their place;
    of a reward under a constraint, the helpful part, among checkpoints that keep to the limit."""
    if not needs_validation(cfg.reward):
        return reward
    held_out = build_reward(cfg.reward, HeldOut(maximised))
    return HelpfulReward(held_out) if isinstance(held_out, SafeReward) else held_out


@dataclass(frozen=True)
class Scoring:
    """As an evaluation or a study scores with them; `encoder` is the policies', None where they differ."""

    here: Session
    encoder: Encoder | None

    def model(self, place: str, path: str | None) -> Reward:
        """See `rlhf.rewards.build.ModelRewards`."""
        return model_reward(self.here, _artifact(self.here, place, path).model, self.encoder)

    def members(self, place: str, path: str | None) -> list[Reward]:
        """See `rlhf.rewards.build.ModelRewards`."""
        folders = _ensemble(_artifact(self.here, place, path), place)
        return [model_reward(self.here, folder, self.encoder) for folder in folders]


def _artifact(here: Session, place: str, path: str | None) -> Artifact:
    return here.inputs["reward_model"] if path is None else _named(here.cfg, place, path)


def _named(cfg: Config, place: str, path: str) -> Artifact:
    try:
        return experiment_of(cfg).resolve("reward_model", path, stage=cfg.stage.kind)
    except InputError as error:
        raise InputError(str(error).replace("inputs.reward_model=", f"{place}.path=")) from None


def _ensemble(artifact: Artifact, place: str) -> list[str]:
    folders = member_folders(artifact.path, artifact.model)
    if len(folders) < 2:
        raise InputError(
            f"{place}.kind=ensemble: {artifact.path} holds one reward model and no other; train several: "
            "stage=rm stage.ensemble=4"
        )
    return folders


def _own_encoder(here: Session, folder: str, length: int) -> Encoder:
    tokenizer = load_tokenizer(folder, trust_remote_code=here.cfg.model.trust_remote_code)
    return reward_encoder(tokenizer, length, here.cfg.data.template)
