"""What a run's identity sees and what it does not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from rlhf.errors import InputError
from rlhf.runs import hash_data_files, identity


@dataclass(frozen=True)
class Input:
    fingerprint: str


CONFIG = {"name": "a", "seed": 1, "stage": {"learning_rate": 1e-4, "max_hours": 2.0}}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"runs_dir": "elsewhere"},
        {"device": "cuda"},
        {"threads": 4},
        {"trackers": ["wandb"]},
        {"traceback": True},
        {"inputs": {"policy": "runs/demo/sft-1"}},
        {"stage": {"learning_rate": 1e-4, "max_hours": 9.0, "save_every": 5}},
        {"stage": {"learning_rate": 1e-4, "offload_frozen": False}},
    ],
)
def test_runtime_keys_change_nothing(change: dict[str, object]) -> None:
    assert identity(CONFIG | change) == identity(CONFIG)


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"stage": {"learning_rate": 2e-4}}, {"stage": {"learning_rate": 1e-4, "name": "x"}}],
)
def test_all_else_changes_it(change: dict[str, object]) -> None:
    assert identity(CONFIG | change) != identity(CONFIG)


def test_runtime_keys_of_nested_stages_change_nothing() -> None:
    def config(hours: float, rate: float) -> dict[str, object]:
        return {"stage": {"name": "all", "ppo": {"max_hours": hours, "learning_rate": rate}}}

    assert identity(config(1, 1e-5)) == identity(config(2, 1e-5))
    assert identity(config(1, 1e-5)) != identity(config(1, 2e-5))


def test_the_caller_adds_keys() -> None:
    config = {"stage": {"page": {"port": 7860}}}
    other = {"stage": {"page": {"port": 7861}}}
    assert identity(config, runtime_keys=["stage.page.port"]) == identity(
        other, runtime_keys=["stage.page.port"]
    )
    assert identity(config) != identity(other)


def test_the_order_of_keys_is_nothing() -> None:
    assert identity({"a": 1, "b": {"c": 2, "d": 3}}) == identity({"b": {"d": 3, "c": 2}, "a": 1})


def test_inputs_count_by_role_and_content() -> None:
    both = identity(CONFIG, {"policy": Input("x"), "reference": Input("y")})
    assert both == identity(CONFIG, {"reference": Input("y"), "policy": Input("x")})
    assert both != identity(CONFIG, {"policy": Input("y"), "reference": Input("x")})
    assert both != identity(CONFIG, {"policy": Input("x")})


def test_data_counts_by_content_wherever_it_lies(tmp_path: Path) -> None:
    first, copy, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    first.write_text('{"prompt": "hi"}')
    copy.write_text('{"prompt": "hi"}')
    other.write_text('{"prompt": "hi!"}')
    before = identity(CONFIG, {}, [first])
    assert before == identity(CONFIG, {}, [copy]) == identity(CONFIG, {}, hash_data_files([first]))
    assert before != identity(CONFIG, {}, [other])
    first.write_text('{"prompt": "ho"}')
    assert before != identity(CONFIG, {}, [first])


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl cannot be read"):
        hash_data_files([tmp_path / "absent.jsonl"])
