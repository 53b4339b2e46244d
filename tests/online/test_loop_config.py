"""What `stage=loop` refuses at the door, with the key, the rule and what to do."""

import pytest

from rlhf.config import Config, LoopStage, validate
from rlhf.errors import ConfigError
from stages.loop_command import SHIPPED, command_of

STREAM = {"mode": "streaming"}
REFUSED = {
    "no end": ({"rounds": None}, "rounds=null: nothing is sure to end the loop"),
    "budget": ({"budget": 2, "raters_per_item": 3}, "budget=2 is less than one pair takes"),
    "first budget": ({"first_budget": 1, "raters_per_item": 2}, "first_budget=1 is less than one pair"),
    "too few": ({"raters": "simulated", "raters_per_item": 5}, "simulated.count=3; raise that"),
    "odd": ({"answers": 3}, "multiple of 2"),
    "one model": ({"strategy": "disagreement"}, "set stage.rm.ensemble=4"),
    "nobody": ({"judge": "people"}, "judge=people: nobody is asked"),
    "nowhere": ({"judge": "endpoint"}, "judge=endpoint: no endpoint is named"),
    "no judge": ({"judge": "model", "rm": {"judge_share": 0}}, "there is no judge with rm.judge_share=0"),
    "all apart": ({"evaluation_share": 1.0}, "less than 1"),
    "no heat": ({"temperatures": []}, "at least 1 item"),
    "stream anew": ({**STREAM, "reward_model": "anew"}, "reward_model=anew: with mode=streaming"),
    "stream from the incumbent": ({**STREAM, "start": "incumbent"}, "start=incumbent: with mode=streaming"),
    "small step": (
        {**STREAM, "step_judgements": 2, "raters_per_item": 3},
        "step_judgements=2 is less than one pair takes",
    ),
    "short queue": ({**STREAM, "queue": 32}, "queue=32 is less than a step waits for, step_judgements=64"),
    "a model without pairs": (
        {**STREAM, "replay": 16},
        "rm.validation_share=0.15 with few pairs a step or none; raise replay to 134, or set",
    ),
    "recent": ({"recent_weight": 0.5}, "greater than or equal to 1"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=r"stage\.") as refusal:
        validate({"stage": {"kind": "loop", **options}})
    assert said in str(refusal.value)


def test_what_a_stream_has_not_is_refused_of_streams_alone() -> None:
    LoopStage.model_validate({"reward_model": "anew", "start": "incumbent", "queue": 1, "replay": 0})
    shares = {"validation_share": 0.0, "judge_share": 0.0}
    LoopStage.model_validate({**STREAM, "replay": 0, "rm": shares})


def test_prompts_of_ones_own_want_a_policy_of_ones_own() -> None:
    told = {"stage": {"kind": "loop"}, "data": {"prompts": "p.jsonl"}}
    with pytest.raises(ConfigError, match=r"data.prompts=p.jsonl: the first policy .*inputs.policy=FOLDER"):
        validate(told)
    validate({**told, "inputs": {"policy": "my-model"}})
    validate({**told, "data": {"prompts": "p.jsonl", "demonstrations": "d.jsonl"}})


def test_simulated_raters_alone_have_to_be_as_many_as_a_pair_takes() -> None:
    for raters in ("both", "auto"):
        assert LoopStage(raters=raters, raters_per_item=4).simulated.count == 3
    with pytest.raises(ValueError, match="raters_per_item=4 asks for more raters"):
        LoopStage(raters="simulated", raters_per_item=4)


def test_the_command_that_goes_on_says_what_differs_and_nothing_else() -> None:
    cfg = Config(stage=SHIPPED)
    assert command_of(cfg) == "python -m rlhf.run stage=loop"
    told = validate(
        {
            "name": "试验",
            "data": {"prompts": "my prompts.jsonl", "demonstrations": "d.jsonl"},
            "reward": {"kind": "rules", "per_word": 0.5},
            "stage": {
                **SHIPPED.model_dump(),
                "budget": 300,
                "temperatures": [0.7, 1.3],
                "wait": False,
                "rollback": "sft",
                "patience": 2,
                "ppo": {"total_episodes": 512},
            },
        }
    )
    words = command_of(told)
    assert words.startswith("python -m rlhf.run stage=loop")
    for word in ("name=试验", "'data.prompts=my prompts.jsonl'", "reward=rules", "reward.per_word=0.5",
                 "stage.budget=300", "'stage.temperatures=[0.7,1.3]'", "stage.patience=2",
                 "stage.ppo.total_episodes=512"):  # fmt: skip
        assert word in words
    assert "wait" not in words
    assert "rollback" not in words
