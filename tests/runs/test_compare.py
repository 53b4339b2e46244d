"""`python -m rlhf.runs compare`: two runs side by side."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rlhf.errors import InputError
from rlhf.runs import Artifact, Experiment, Kind
from rlhf.runs.cli import main
from rlhf.runs.compare import compare_runs
from rlhf.runs.compare_page import marked, same_prompts, written
from rlhf.runs.final_figures import final_figures
from rlhf.runs.find import find_run

Finish = Callable[..., Path]


@pytest.fixture
def finish(experiment: Experiment) -> Finish:
    """`finish("ppo", "policy", config, metrics)` finishes a run and returns its folder."""
    made: list[str] = []

    def finish_run(
        stage: str,
        kind: Kind,
        config: Mapping[str, Any],
        metrics: Mapping[str, Any],
        *,
        inputs: Mapping[str, Artifact] | None = None,
        data_files: Mapping[str, str] | None = None,
        resolved: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        within: Experiment = experiment,
    ) -> Path:
        made.append(stage)
        key, data = f"run-{len(made)}", data_files or {}
        with within.open(stage, identity=key, config=config, inputs=inputs, data_files=data) as run:
            run.write_json("made.json", len(made))
            for name, value in (files or {}).items():
                (run.write_jsonl if name.endswith("l") else run.write_json)(name, value)
            run.finish(kind, metrics=metrics, resolved=resolved or {"device": "cpu"})
            return run.path

    return finish_run


def sample(key: str, prompt: object, a: str, score: float) -> dict[str, Any]:
    side = {"tokens": 3, "finish": "eos", "scores": {"gold": score}}
    return {
        "prompt": prompt,
        "key": key,
        "fields": {},
        "seed": 1,
        "policy": {"response": a, **side},
        "baseline": {"response": f"the baseline of {key}", **side},
    }


def evaluation(win_rate: tuple[float, float, float], kl: float) -> dict[str, Any]:
    def interval(estimate: float, low: float, high: float) -> dict[str, float]:
        return {"estimate": estimate, "low": low, "high": high}

    point = interval(0.5, 0.5, 0.5)
    overall = {"win_rate": interval(*win_rate), "policy": point, "baseline": point, "difference": point}
    return {
        "version": 2,
        "judgements": [{"name": "gold", "overall": overall, "length_controlled": None}],
        "parts": {"right": {"policy": point, "baseline": point, "difference": interval(0.1, 0.0, 0.2)}},
        "kl_nats": interval(kl, kl - 0.5, kl + 0.5),
        "figures": {"policy": {"length_tokens": interval(9.0, 8.0, 10.0), "end_rate": point}},
        "contenders": [{"name": "dpo", "scores": {"gold": interval(0.6, 0.5, 0.7)}}],
        "reward_model": None,
    }


@pytest.fixture
def two(experiment: Experiment, finish: Finish) -> Experiment:
    """Two chains from one SFT policy: PPO with another kl.coef and seed, each with its evaluation."""
    finish("sft", "policy", {"seed": 0}, {"loss": 1.5})
    for number, (coef, rate, answer) in enumerate(
        ((0.05, (0.6, 0.5, 0.7), "Sure! It is six."), (0.02, (0.8, 0.71, 0.9), "It is <b>five</b>.")), start=1
    ):
        config = {
            "name": f"demo-{number}",
            "seed": number,
            "kl": {"coef": coef},
            "inputs": {"policy": number},
            "stage": {"kind": "ppo", "epochs": 4},
        }
        sft = experiment.resolve("policy", "sft-1", stage="ppo")
        finish(
            "ppo", "policy", config, {"reward": {"mean": 1.0 * number}, "kl": 2.0}, inputs={"policy": sft},
            data_files={"prompts.jsonl": f"{number}" * 64, "same.jsonl": "a" * 64},
        )  # fmt: skip
        ppo = experiment.resolve("policy", f"ppo-{number}", stage="eval")
        rows = [
            sample("k1", "How many?", answer, 0.2 * number),
            sample(
                "k2", [{"role": "user", "content": "多少？"}], "六个" if number == 1 else "五个", 1.0 - number
            ),
            sample(f"only-{number}", "Nobody else's", "x", 0.0),
        ]
        finish(
            "eval", "evaluation", {"seed": number, "stage": {"kind": "eval", "prompts": 3}},
            {"gold_win_rate": rate[0], "gold_win_rate_low": rate[1], "gold_win_rate_high": rate[2],
             "kl_nats": 2.0 * number, "policy_length": 9.0, "prompts": 3},
            inputs={"policy": ppo, "baseline": sft}, resolved={"device": "cpu", "threads": number},
            files={"evaluation.json": evaluation(rate, 2.0 * number), "samples.jsonl": rows},
        )  # fmt: skip
    return experiment


def call(experiment: Experiment, *words: str) -> int:
    return main(["compare", *words, "--runs-dir", str(experiment.runs_dir)])


def compared(experiment: Experiment, a: str, b: str) -> dict[str, Any]:
    return compare_runs(*(find_run(experiment.runs_dir, name) for name in (a, b))).as_json()


class TestWhatDiffers:
    def test_configuration_of_the_runs_and_of_what_they_came_from(self, two: Experiment) -> None:
        assert compared(two, "demo/eval-1", "demo/eval-2")["configuration"] == [
            {"name": "seed", "a": 1, "b": 2, "stage": "eval"},  # and not again for ppo
            {"name": "kl.coef", "a": 0.05, "b": 0.02, "stage": "ppo"},
        ]

    def test_the_other_way_round_is_the_mirror(self, two: Experiment) -> None:
        one, other = compared(two, "demo/eval-1", "demo/eval-2"), compared(two, "demo/eval-2", "demo/eval-1")
        for part in ("configuration", "inputs", "data", "versions"):
            mirrored = [item | {"a": item["b"], "b": item["a"]} for item in other[part]]
            assert one[part] == mirrored
        for mine, yours in zip(one["figures"], other["figures"], strict=True):
            assert (mine["a"], mine["b"], mine["overlap"]) == (yours["b"], yours["a"], yours["overlap"])
            assert mine["difference"] == -yours["difference"]

    def test_inputs_data_and_machine(self, two: Experiment) -> None:
        found = compared(two, "demo/eval-1", "demo/eval-2")
        assert found["inputs"] == [{"name": "policy", "a": "demo/ppo-1", "b": "demo/ppo-2"}]
        assert found["versions"] == [{"name": "threads", "a": 1, "b": 2}]
        assert found["data"] == []
        ppo = compared(two, "demo/ppo-1", "demo/ppo-2")
        assert ppo["data"] == [{"name": "prompts.jsonl", "a": "1" * 64, "b": "2" * 64}]
        assert ppo["inputs"] == []

    def test_runs_of_two_stages(self, two: Experiment) -> None:
        found = compared(two, "demo/sft-1", "demo/ppo-1")
        assert {"name": "kl.coef", "a": None, "b": 0.05, "stage": "sft, ppo"} in found["configuration"]
        assert found["inputs"] == [{"name": "policy", "a": None, "b": "demo/sft-1"}]

    def test_an_unfinished_run_has_no_figures(self, two: Experiment) -> None:
        with two.open("ppo", identity="begun", config={"seed": 9}) as run:
            run.write_text("notes.txt", "")
        found = compared(two, "demo/ppo-1", "demo/ppo-3")
        assert found["b"]["status"] == "unfinished"
        assert found["seconds"]["b"] is None
        assert [pair["b"] for pair in found["figures"]] == [None, None]


class TestFigures:
    def test_differences_and_overlap_worked_by_hand(self, two: Experiment) -> None:
        figures = {pair["name"]: pair for pair in compared(two, "demo", "demo/eval-1")["figures"]}
        rate = figures["gold_win_rate"]
        assert rate["a"] == {"value": 0.8, "low": 0.71, "high": 0.9}
        assert rate["difference"] == pytest.approx(-0.2)
        assert rate["overlap"] is False  # 0.71 ... 0.9 against 0.5 ... 0.7
        assert figures["kl_nats"]["difference"] == -2.0
        assert figures["kl_nats"]["overlap"] is False
        assert figures["policy_length"]["overlap"] is True
        assert figures["prompts"] == {
            "name": "prompts",
            "a": {"value": 3, "low": None, "high": None},
            "b": {"value": 3, "low": None, "high": None},
            "difference": 0,
            "overlap": None,
        }

    def test_intervals_that_touch_overlap(self, two: Experiment) -> None:
        path = two.path / "eval-2" / "manifest.json"
        path.write_text(path.read_text().replace("0.71", "0.7"))
        for pair in (("demo/eval-1", "demo/eval-2"), ("demo/eval-2", "demo/eval-1")):
            assert compared(two, *pair)["figures"][0]["overlap"] is True

    def test_the_manifest_first_then_what_the_evaluation_adds(self, two: Experiment) -> None:
        found = final_figures(find_run(two.runs_dir, "demo/eval-1"))
        assert list(found)[:4] == ["gold_win_rate", "kl_nats", "policy_length", "prompts"]
        assert (found["right_difference"].low, found["right_difference"].high) == (0.0, 0.2)
        assert found["dpo_gold"].value == 0.6
        assert list(final_figures(find_run(two.runs_dir, "demo/ppo-1"))) == ["reward.mean", "kl"]

    def test_a_damaged_evaluation_is_said(self, two: Experiment) -> None:
        (two.path / "eval-1" / "evaluation.json").write_text("{")
        with pytest.raises(InputError, match=r"evaluation\.json cannot be read"):
            compared(two, "demo/eval-1", "demo/eval-2")


class TestNames:
    def test_an_experiment_is_its_newest_evaluation(self, two: Experiment) -> None:
        assert find_run(two.runs_dir, "demo").path.name == "eval-2"

    def test_a_folder_wherever_it_lies(self, two: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(two.path)
        assert find_run(Path("elsewhere"), "ppo-1").path == Path("ppo-1")
        assert find_run(Path("elsewhere"), str(two.path / "ppo-1")).path == two.path / "ppo-1"
        assert find_run(Path("elsewhere"), f"{two.path}/").path == two.path / "eval-2"

    def test_what_is_not_there_is_said_with_what_is(self, two: Experiment, finish: Finish) -> None:
        with pytest.raises(InputError, match=r"demo/ppo-9 names no run.*demo/ppo-1"):
            find_run(two.runs_dir, "demo/ppo-9")
        with pytest.raises(
            InputError, match=r"demno names no run(?s:.*)experiments in .*: demo .*--runs-dir"
        ):
            find_run(two.runs_dir, "demno")
        other = Experiment(two.runs_dir, "实验")
        finish("sft", "policy", {}, {}, within=other)
        with pytest.raises(InputError, match=r"stage=eval name=实验.*实验/sft-1"):
            find_run(two.runs_dir, "实验")

    def test_one_run_twice(self, two: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(two, "demo", "demo/eval-2") == 2
        assert "demo/eval-2 is named twice" in capsys.readouterr().err


class TestTerminal:
    def test_a_table(self, two: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(two, "demo/eval-1", "demo/eval-2") == 0
        lines = [re.sub(r"  +", "|", line.rstrip()) for line in capsys.readouterr().out.splitlines()]
        assert lines[0] == "A|demo/eval-1: evaluation, finished"
        assert "ppo: kl.coef|0.05|0.02" in lines
        assert "policy|demo/ppo-1|demo/ppo-2" in lines
        assert "gold_win_rate|0.6 [0.5, 0.7]|0.8 [0.71, 0.9]|+0.2 apart" in lines
        assert "policy_length|9 [8, 10]|9 [8, 10]|same" in lines
        assert lines[-1] == "the same in both: data"

    @pytest.mark.parametrize("columns", [40, 80, 140])
    def test_fits_a_screen(
        self, two: Experiment, finish: Finish, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str], columns: int,
    ) -> None:  # fmt: skip
        for side in ("甲", "乙"):
            config = {f"key_{n}": f"/很长/很长/很长/的/路径/{side}" * 5 for n in range(50)}
            finish("sft", "policy", config, {f"metric_{n}": 1.0 / 3 for n in range(50)})
        monkeypatch.setenv("COLUMNS", str(columns))
        assert call(two, "demo/sft-2", "demo/sft-3") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 40
        from rich.cells import cell_len

        assert max(map(cell_len, lines)) <= columns
        assert lines[-1].startswith("the same in both: inputs, data, v")
        _, a, b = re.split(r"  +", lines[3].rstrip())
        assert (a[0], a[-1], b[-1]) == ("…", "甲", "乙")  # of a path its end

    def test_json_is_all_of_it(self, two: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(two, "demo/eval-1", "demo/eval-2", "--json") == 0
        assert json.loads(capsys.readouterr().out) == compared(two, "demo/eval-1", "demo/eval-2")

    def test_answers_at_once(self, two: Experiment) -> None:
        code = (
            "import sys; from rlhf.runs.cli import main; main(sys.argv[1:]);"
            "print([name for name in ('torch', 'numpy', 'transformers', 'jinja2') if name in sys.modules])"
        )
        words = ["compare", "demo/ppo-1", "demo", "--json", "--runs-dir", str(two.runs_dir)]
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=os.environ
        )
        assert done.stdout.splitlines()[-1] == "[]"


class TestPage:
    def test_the_same_prompts_side_by_side(
        self, two: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        page = tmp_path / "比较.html"
        assert call(two, "demo/eval-1", "demo/eval-2", "--html", str(page)) == 0
        assert f"page: {page}" in capsys.readouterr().out
        text = page.read_text("utf-8")
        assert text.count('<article class="card sample">') == 2
        assert text.index("多少？") < text.index("How many?")  # changed by 1 and by 0.2
        assert "&lt;" in text
        assert "<b>" not in text
        assert "<mark>六</mark>" in text
        assert "Nobody else" not in text
        assert "0.8 [0.71, 0.9]" in text
        assert "kl.coef" in text
        assert not re.search(r"(src|href|url)\s*[=(]", text)
        assert "default-src 'none'" in text

    def test_of_runs_without_answers(self, two: Experiment, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        assert call(two, "demo/ppo-1", "demo/ppo-2", "--html", str(page)) == 0
        assert "The same prompts" not in page.read_text("utf-8")

    def test_where_it_cannot_be_written(self, two: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(two, "demo/ppo-1", "demo/ppo-2", "--html", "/absent/page.html") == 2
        assert "--html /absent/page.html cannot be written (No such file" in capsys.readouterr().err

    def test_lost_samples_are_said(self, two: Experiment) -> None:
        (two.path / "eval-1" / "samples.jsonl").unlink()
        runs = [find_run(two.runs_dir, f"demo/eval-{number}") for number in (1, 2)]
        with pytest.raises(InputError, match=r"samples\.jsonl cannot be read"):
            same_prompts(*runs)

    def test_marks_what_the_other_has_not(self) -> None:
        assert marked("It is six.", "It is five.") == (
            [("It is ", False), ("six", True), (".", False)],
            [("It is ", False), ("five", True), (".", False)],
        )
        assert marked("答案是六", "答案是五个")[1] == [("答案是", False), ("五个", True)]
        assert marked("", "new") == ([], [("new", True)])
        for text in ("a  b\n c", "你好 world"):
            assert "".join(span for span, _ in marked(text, "other words")[0]) == text

    def test_what_no_page_can_hold_is_spelled_out(self) -> None:
        assert written("a\x00b\ud800\n\tc") == "a\\u0000b\\ud800\n\tc"
