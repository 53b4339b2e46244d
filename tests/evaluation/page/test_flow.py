"""The lineage as a picture: a box for each run, an arrow for each input."""

import xml.etree.ElementTree as ElementTree
from typing import Any

from rlhf.evaluation.page.flow import flow


def step(path: str, stage: str, role: str, **inputs: str) -> dict[str, Any]:
    return {"path": path, "stage": stage, "role": role, "seconds": 61.0, "inputs": inputs}


def texts(svg: ElementTree.Element, kind: str) -> list[str | None]:
    found = [(text.attrib["class"].split(), text.text) for text in svg.iter("text")]
    return [text for kinds, text in found if kind in kinds and "zh" not in kinds]


def test_boxes_and_arrows() -> None:
    steps = [
        step("demo/sft-1", "sft", "baseline"),
        step("demo/rm-1", "rm", "reward_model", policy="demo/sft-1", data="elsewhere/file.jsonl"),
        step("demo/ppo-1", "ppo", "policy", policy="demo/sft-1", reward_model="demo/rm-1"),
    ]
    svg = ElementTree.fromstring(flow(steps))
    assert texts(svg, "stage") == ["SFT", "reward model", "PPO", "this evaluation"]
    assert texts(svg, "path")[:3] == ["demo/sft-1", "demo/rm-1", "demo/ppo-1"]
    assert texts(svg, "data") == ["demonstrations", "preferences", "prompts", "held-out prompts"]
    assert texts(svg, "took")[:3] == ["1m 1s"] * 3
    # data: 4; sft to rm, rm to ppo and ppo to this straight; sft to ppo, sft and rm to this around
    assert len([path for path in svg.iter("path") if path.attrib.get("class") == "edge"]) == 4 + 3 + 3


def test_a_long_path_is_shown_by_its_end() -> None:
    svg = ElementTree.fromstring(flow([step("a/very/long/path/to/somebodys/model/folder", "", "policy")]))
    (shown, _) = texts(svg, "path")
    assert shown is not None
    assert shown.startswith("…")
    assert shown.endswith("model/folder")
    assert len(shown) == 27


def test_nothing_known_is_no_picture() -> None:
    assert flow([]) == ""


def test_what_is_taken_stands_above_what_takes_it() -> None:
    """Runs of the same second come in any order."""
    steps = [
        step("demo/ppo-1", "ppo", "policy", policy="demo/sft-1"),
        step("demo/sft-1", "sft", "baseline"),
    ]
    svg = ElementTree.fromstring(flow(steps))
    assert texts(svg, "path")[:2] == ["demo/sft-1", "demo/ppo-1"]
    circle = [step("a", "ppo", "policy", policy="b"), step("b", "ppo", "policy", policy="a")]
    assert texts(ElementTree.fromstring(flow(circle)), "path")[:2] == ["a", "b"]
