"""The help page: stages, examples and every key with its default."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from rlhf.command import groups
from rlhf.config import (
    Config,
    CustomReward,
    DataConfig,
    EnsembleReward,
    EvalStage,
    InputsConfig,
    JudgeConfig,
    KlConfig,
    LoopStage,
    ModelConfig,
    PpoStage,
    RmStage,
    RolloutConfig,
    RulesReward,
    SafeReward,
    SampleStage,
    SftStage,
    SimulatedRaters,
    StudyStage,
    WeightedReward,
)
from rlhf.config.guards import GuardLimits

_PAGE = """\
Classic RLHF: supervised fine-tuning, a reward model from preferences, and PPO against it.

  python -m rlhf.run stage=STAGE [key=value ...]

stages
  sft      supervised fine-tuning on demonstrations
  rm       a reward model from preference pairs, on top of the newest sft; from thumbs and scores
           as well by stage.objective
  ppo      PPO against the reward, from the newest sft
  eval     the newest policy against its sft parent; writes report.html
  study    DPO, best-of-n and learning curves from the newest sft and rm, for eval to compare with
  sample   several answers a prompt, ready to be rated
  all      sft, rm, ppo and eval, one after the other
  loop     round after round: people judge, the reward model learns, PPO improves, and what is not
           better is not promoted

examples
  python -m rlhf.run stage=all                        the embedded demo, offline, on a CPU
  python -m rlhf.run stage=all preset=smoke           the same in under a minute, learning nothing
  python -m rlhf.run stage=sft name=mine model.path=./my-model data.demonstrations=./demos.jsonl
  python -m rlhf.run stage=rm name=mine data.preferences=./pairs.jsonl
  python -m rlhf.run stage=rm name=mine stage.objective=mixed data=feedback data.feedback=./export
  python -m rlhf.run stage=ppo name=mine kl=adaptive kl.target=6 data.prompts=./prompts.jsonl
  python -m rlhf.run stage=ppo reward=custom reward.path=my_reward.py:score
  python -m rlhf.run stage=loop name=mine inputs.policy=./my-model data.prompts=./prompts.jsonl
  python -m rlhf.run stage=loop name=demo stage.rollback=sft
  python -m rlhf.run stage=ppo --cfg job              the whole configuration, nothing run
  python -m rlhf.run -m stage=all seed=0,1,2          a sweep, one experiment each: demo-seed-0, ...

  python -m rlhf.runs list                            what there is; also show, verify, compare
  python -m rlhf.serve name=mine                      its newest policy as an OpenAI-compatible endpoint;
                                                      --help lists the options

The same command again goes on with an unfinished run. traceback=true prints an error's traceback.
"""


def help_page() -> str:
    """What `python -m rlhf.run` without a stage prints."""
    sections: list[tuple[str, type[BaseModel]]] = [
        ("", Config),
        ("model.", ModelConfig),
        ("data.", DataConfig),
        ("inputs.", InputsConfig),
        ("stage=sft: stage.", SftStage),
        ("stage=rm: stage.", RmStage),
        ("stage=ppo: stage.", PpoStage),
        ("stage=eval: stage.", EvalStage),
        ("stage=eval: stage.judge.", JudgeConfig),
        ("stage=study: stage.", StudyStage),
        ("stage=sample: stage.", SampleStage),
        ("stage=loop: stage.", LoopStage),
        ("stage=loop: stage.simulated.", SimulatedRaters),
        ("stage=loop: stage.ai_rater.", JudgeConfig),
        ("stage=loop: stage.guards.", GuardLimits),
        ("kl=fixed|adaptive|annealed: kl.", KlConfig),
        ("reward=custom: reward.", CustomReward),
        ("reward=rules: reward.", RulesReward),
        ("reward=ensemble: reward.", EnsembleReward),
        ("reward=weighted: reward.", WeightedReward),
        ("reward=safe: reward.", SafeReward),
        ("rollout=hf|vllm: rollout.", RolloutConfig),
    ]
    blocks = [
        _PAGE,
        "what may be chosen, the default first\n"
        + "\n".join(f"  {name}={'|'.join(options)}" for name, options in groups().items() if name != "stage"),
        "keys, with their defaults (null: none)\n"
        + "\n".join(line for title, section in sections for line in _describe(title, section)),
        "  stage=all and stage=loop: stage.sft., stage.rm., stage.ppo., stage.eval., with their keys",
    ]
    return "\n\n".join(block.rstrip("\n") for block in blocks)


def _describe(title: str, section: type[BaseModel]) -> Iterator[str]:
    if title:
        yield f"  {title}"
    for name, field in section.model_fields.items():
        if isinstance(field.default, BaseModel) or name == "kind":
            continue
        default = "" if field.is_required() else f"={_typed(field.default)}"
        yield f"    {name + default:<34} {field.description or ''}".rstrip()


def _typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, (tuple, list)):
        return f"[{','.join(_typed(item) for item in value)}]"
    return value if isinstance(value, str) else json.dumps(value)
