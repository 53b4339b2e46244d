"""What `stage=loop` is told.

Between rounds nearly all of it may change: a round goes by what was said when it began, and its record keeps
that. Which loop it is, seed, model, data and first policy say.
"""

from math import ceil
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rlhf.config.base import Auto, Count, Positive, Probability, Section
from rlhf.config.guards import GuardLimits
from rlhf.config.judge import JudgeConfig
from rlhf.config.stages import EvalStage, PpoStage, RmStage, SftStage

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Skill = Annotated[float, Field(ge=0.0, le=1.0)]
Even = Annotated[int, Field(ge=2, multiple_of=2)]
FEW = 20
"""Rows that a reward model of a step expects at least, of which some are held out."""


class SimulatedRaters(Section):
    """Raters that are programs and judge as people do, through the same store."""

    count: Count = Field(default=3, description="of them; an item goes to stage.raters_per_item")
    skill: Skill = Field(default=0.8, description="probability of preferring the better of two equally long")
    length_bias: float = Field(
        default=0.0, description="nats for each word that an answer is longer, up to 20 words"
    )
    reward_model: str | None = Field(
        default=None,
        description="run or folder whose scores say what is better; none: the embedded world's gold rater",
    )


class LoopStage(Section):
    """Rounds of sampling, judging, learning and improving; a candidate that is not better is not promoted."""

    kind: Literal["loop"] = "loop"
    mode: Literal["rounds", "streaming"] = Field(
        default="rounds",
        description="learn once a round's judgements are there, or in small steps while they come",
    )
    rounds: Count | None = Field(default=5, description="rounds in all; none: until another rule ends it")
    patience: Count | None = Field(default=None, description="rounds without a promotion that end the loop")
    target_win_rate: Probability | None = Field(
        default=None, description="win rate over the first policy that ends the loop"
    )
    max_judgements: Count | None = Field(default=None, description="judgements in all")
    budget: Count = Field(
        default=1000, description="judgements a round; streaming: between two tests of the newest policy"
    )
    first_budget: Count | None = Field(default=None, description="of the first round; none: as the others")
    step_judgements: Count = Field(
        default=64, description="streaming: new judgements a step; the first takes all of the first round"
    )
    replay: Annotated[int, Field(ge=0)] = Field(
        default=256, description="streaming: older rows that a step's reward model sees beside the new ones"
    )
    queue: Count | Auto = Field(
        default="auto",
        description="streaming: judgements that each step has wait for raters; auto: twice step_judgements",
    )

    prompts: Count | Auto = Field(
        default="auto", description="prompts answered a round; auto: as many as the budget and strategy take"
    )
    answers: Even = Field(default=2, description="answers a prompt at each temperature; an even number")
    temperatures: tuple[Positive, ...] = Field(default=(1.0,), min_length=1)
    opponent: Literal["policy", "sft", "predecessor", "mixed"] = Field(
        default="mixed",
        description="whose is a pair's other answer; mixed: the policy's own and the first policy's by turns",
    )
    strategy: Literal["random", "uncertainty", "disagreement", "information"] = Field(
        default="random",
        description="which pairs are asked about; the first round knows no other than random",
    )
    evaluation_share: Share = Field(
        default=0.2, description="of a round's pairs, drawn by chance, that no reward model learns from"
    )

    raters: Literal["auto", "simulated", "people", "both"] = Field(
        default="auto", description="who judges; auto: simulated raters in the embedded world, else people"
    )
    raters_per_item: Count = 1
    aggregate: Literal["raw", "majority", "dawid_skene"] = Field(
        default="dawid_skene", description="what several judgements of a pair make"
    )
    guidelines: str | None = Field(default=None, description="text file that raters are shown; none: no text")
    wait: bool = Field(
        default=True, description="wait for judgements; false: say what is missing, and end until asked again"
    )
    max_wait_hours: Positive | None = Field(
        default=None, description="for a round's judgements; then it goes on with those that are there"
    )
    db: str | None = Field(
        default=None, description="the feedback store, a file or URL; none: feedback.db in the experiment"
    )
    simulated: SimulatedRaters = SimulatedRaters()
    ai_rater: JudgeConfig = JudgeConfig()
    """A model behind an endpoint that judges beside the others, marked as what it is; none without a URL."""

    recent_weight: Annotated[float, Field(ge=1.0)] = Field(
        default=1.0, description="how many times as much a round's pairs count as those of the round before"
    )
    reward_model: Literal["continued", "anew"] = Field(
        default="continued", description="from the last round's weights, or from the first policy's"
    )
    start: Literal["sft", "incumbent"] = Field(default="sft", description="where PPO begins")

    judge: Literal["auto", "model", "endpoint", "gold", "people"] = Field(
        default="auto",
        description="who decides; auto: people where asked, an endpoint where named, gold where raters are "
        "simulated by it, else a reward model on pairs of its own",
    )
    ask_people: Annotated[int, Field(ge=0)] = Field(
        default=0, description="judgements that raters give on candidate against incumbent"
    )
    guards: GuardLimits = GuardLimits()
    rollback: str | None = Field(
        default=None, description="make an earlier policy the incumbent again (sft, round-2), and end"
    )

    sft: SftStage = SftStage()
    rm: RmStage = RmStage()
    ppo: PpoStage = PpoStage()
    eval: EvalStage = EvalStage()

    @model_validator(mode="after")
    def _ends(self) -> "LoopStage":
        if self.rounds is None and self.max_judgements is None and self.target_win_rate is None:
            raise ValueError(
                "rounds=null: nothing is sure to end the loop; give rounds, max_judgements or target_win_rate"
            )
        return self

    @model_validator(mode="after")
    def _raters_suffice(self) -> "LoopStage":
        for name in ("budget", "first_budget"):
            budget = getattr(self, name)
            if budget is not None and budget < self.raters_per_item:
                raise ValueError(
                    f"{name}={budget} is less than one pair takes, raters_per_item={self.raters_per_item}"
                )
        if self.raters == "simulated" and self.simulated.count < self.raters_per_item:
            raise ValueError(
                f"raters_per_item={self.raters_per_item} asks for more raters than there are, "
                f"simulated.count={self.simulated.count}; raise that, or take raters=both"
            )
        return self

    @model_validator(mode="after")
    def _streams(self) -> "LoopStage":
        if self.mode == "rounds":
            return self
        if self.reward_model == "anew" or self.start == "incumbent":
            key = "reward_model=anew" if self.reward_model == "anew" else "start=incumbent"
            raise ValueError(
                f"{key}: with mode=streaming reward model and policy both go on from the step before; leave "
                "it out, or take mode=rounds"
            )
        if self.step_judgements < self.raters_per_item:
            raise ValueError(
                f"step_judgements={self.step_judgements} is less than one pair takes, "
                f"raters_per_item={self.raters_per_item}"
            )
        if self.queue != "auto" and self.queue < self.step_judgements:
            raise ValueError(
                f"queue={self.queue} is less than a step waits for, "
                f"step_judgements={self.step_judgements}; raise it, or lower the other"
            )
        return self

    @model_validator(mode="after")
    def _every_model_has_pairs(self) -> "LoopStage":
        """A small step may by chance have no pair of a model's prompts; such a run would end in an error."""
        rows = self.step_judgements // self.raters_per_item + self.replay
        for name in ("validation_share", "judge_share"):
            share: float = getattr(self.rm, name)
            if self.mode == "streaming" and share and rows * share < FEW:
                raise ValueError(
                    f"step_judgements={self.step_judgements} and replay={self.replay} leave the model of "
                    f"rm.{name}={share:g} with few pairs a step or none; raise replay to "
                    f"{ceil(FEW / share)}, or set rm.{name}=0"
                )
        return self

    @model_validator(mode="after")
    def _strategy_has_its_models(self) -> "LoopStage":
        if self.strategy in ("disagreement", "information") and self.rm.ensemble < 2:
            raise ValueError(
                f"strategy={self.strategy} compares several reward models; set stage.rm.ensemble=4, or take "
                "strategy=uncertainty"
            )
        return self

    @model_validator(mode="after")
    def _judge_can_be_asked(self) -> "LoopStage":
        if self.judge == "people" and not self.ask_people:
            raise ValueError("judge=people: nobody is asked; set stage.ask_people to a number of judgements")
        if self.judge == "endpoint" and self.eval.judge.url is None:
            raise ValueError("judge=endpoint: no endpoint is named; add stage.eval.judge.url and .model")
        if self.judge == "model" and not self.rm.judge_share:
            raise ValueError("judge=model: there is no judge with rm.judge_share=0; raise it")
        return self
