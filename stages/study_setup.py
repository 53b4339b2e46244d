"""The bench of a study: its data, how sft and rm were told to train, and what is known of finished pieces."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rlhf.config import Config, RmStage, SftStage, StudyStage
from rlhf.data.encoding import Encoder
from rlhf.errors import DataError
from rlhf.models.loading import load_policy, load_tokenizer, save_plain
from rlhf.records import Demonstration, Preference, Prompt
from rlhf.runs import Artifact
from rlhf.training.course import Course, Saved, latest_saved
from rlhf.training.machine import Stop
from rlhf.training.ordering import Plan
from rlhf.training.trainer import RunTrainer
from stages.datasets import Parts, load_demonstrations, load_preferences, load_prompts
from stages.rm_lessons import pairs_by_model
from stages.shared import Session, encoder_for
from stages.study_inputs import recorded, study_stage

PIECES_JSON = "pieces.json"


@dataclass(frozen=True)
class Bench:
    """What the pieces of a study have in common; `done` is what is known of each one that is finished."""

    here: Session
    stage: StudyStage
    encoder: Encoder
    saved: Saved | None
    stop: Stop
    done: dict[str, Any]

    @property
    def policy(self) -> Artifact:
        """The SFT policy."""
        return self.here.inputs["policy"]

    @cached_property
    def sft_run(self) -> Config | None:
        """How SFT was told to train; None for a plain model folder."""
        return self._of_stage(self.policy, SftStage)

    @cached_property
    def rm_run(self) -> Config | None:
        """How the reward model was told to train; None for a plain model folder."""
        return self._of_stage(self.here.inputs["reward_model"], RmStage)

    @cached_property
    def preferences(self) -> Parts[Preference]:
        """All pairs, split as every stage splits them."""
        return load_preferences(self.here.cfg, self.encoder)

    @cached_property
    def demonstrations(self) -> Parts[Demonstration]:
        """All demonstrations, split likewise."""
        return load_demonstrations(self.here.cfg, self.encoder)

    @cached_property
    def prompts(self) -> Parts[Prompt]:
        """All prompts that leave room for a response, split likewise."""
        return load_prompts(self.here.cfg, self.encoder, self.stage.response_length)

    @cached_property
    def held_out_prompts(self) -> list[Prompt]:
        """`stage.num_prompts` prompts that no training sees. Raises DataError where there is none."""
        prompts = self.prompts.test[: self.stage.num_prompts]
        if not prompts:
            raise DataError("no prompt was held out; raise data.test_fraction, or data.limit")
        return prompts

    @cached_property
    def reward_pairs(self) -> list[Preference]:
        """The pairs that the reward model was trained on; of a plain folder's, all that are for training."""
        options = self.rm_run.stage if self.rm_run else RmStage(validation_share=0.0, judge_share=0.0)
        assert isinstance(options, RmStage)
        return pairs_by_model(options, self.preferences.train)["model"]

    def course(
        self, title: str, plan: Plan, *, keep_best: bool = False, patience: int | None = None
    ) -> Course:
        """A training's course; one that was stopped counts its time from when it began."""
        run = self.here.run
        began_s = self.saved.carried["began_s"] if self.saved and self.saved.title == title else run.seconds
        return Course(
            run=run,
            log=self.here.log,
            stop=self.stop,
            title=title,
            prefix=f"{title}/",
            plan=plan,
            save_every=self.stage.save_every,
            patience=patience,
            keep_best=keep_best,
            first_step=sum(known["steps"] for known in self.done.values()),
            carried={"began_s": began_s},
        )

    def train(self, trainer: RunTrainer) -> dict[str, Any]:
        """Trains to the end, from where it was stopped; steps, seconds and what `auto` became."""
        course = trainer.course
        with self.stop.listening():
            trainer.run_course(self.saved if self.saved and self.saved.title == course.title else None)
        return {
            "steps": trainer.state.global_step,
            "seconds": round(self.here.run.seconds - course.carried["began_s"], 3),
            "resolved": course.plan.resolved,
        }

    def finish(self, name: str, known: dict[str, Any]) -> None:
        """Notes what is known of a piece, so that it is not made again."""
        self.done[name] = known
        self.here.run.write_json(PIECES_JSON, self.done)

    def publish(self, name: str, model: Any) -> None:
        """Writes a policy, merged and plain."""
        self.here.run.publish(
            name,
            lambda folder: save_plain(model, self.encoder.tokenizer, folder, stop_ids=self.encoder.stop_ids),
        )

    @staticmethod
    def _of_stage(artifact: Artifact, stage: type[SftStage] | type[RmStage]) -> Config | None:
        cfg = recorded(artifact) if artifact.manifest else None
        return cfg if cfg and isinstance(cfg.stage, stage) else None


def set_up(here: Session) -> Bench:
    """The bench of a run, new or taken up where it was."""
    cfg, policy = here.cfg, here.inputs["policy"]
    stage, remote_code = study_stage(cfg), cfg.model.trust_remote_code
    model = load_policy(policy.model, trust_remote_code=remote_code)
    encoder = encoder_for(cfg, model, load_tokenizer(policy.model, trust_remote_code=remote_code))
    notes = here.run.path / PIECES_JSON
    done = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    return Bench(here, stage, encoder, latest_saved(here.run, here.log), Stop(stage.max_hours), done)
