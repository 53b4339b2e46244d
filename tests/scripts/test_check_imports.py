"""Each rule of scripts/check_imports.py is broken once and seen to be reported."""

from pathlib import Path

import pytest

from scripts.check_imports import broken_rules, heavy_at_start, imports

ALLOWED = {
    "rlhf/errors.py": "import json\nfrom rlhf import records\n",
    "rlhf/records.py": "import numpy\n",
    "rlhf/rollout/vllm.py": "import torch\nimport vllm\n",
    "rlhf/rewards/model.py": "from ..rollout import vllm\nfrom rlhf.errors import RlhfError\n",
    "stages/sft.py": "import torch\nfrom rlhf import demo\nimport feedback_ui.service\n",
    "rlhf/demo/world.py": "import rlhf.evaluation.report\n",
    "rlhf/evaluation/report.py": "",
    "rlhf/run.py": "import importlib\nimportlib.import_module('stages.sft')\n",
    "feedback_ui/service.py": "from rlhf.records import Preference\n",
    "feedback_ui/views/rate.py": "import gradio\n",
}
FAULTS = {
    "rlhf/algos/gae.py": (
        "def f():\n    from rlhf.data import readers\n",
        "rlhf.data.readers, which stands after it",
    ),
    "rlhf/text/words.py": ("import torch.nn\n", "is base and imports torch.nn"),
    "rlhf/runs/state.py": ("def f():\n    import safetensors\n    import transformers\n", "transformers"),
    "rlhf/rollout/hf.py": ("if TYPE_CHECKING:\n    import vllm\n", "only rlhf/rollout/vllm.py may"),
    "rlhf/models/roles.py": ("from ..rewards import model\n", "rlhf.rewards.model, which stands after it"),
    "rlhf/training/ppo.py": ("from rlhf import demo\n", "rlhf.demo, which stands after it"),
    "rlhf/evaluation/x.py": ("importlib.import_module('stages.sft')\n", "stages.sft, which stands after it"),
    "stages/ppo.py": ("from rlhf.run import main\n", "rlhf.run, which stands after it"),
    "rlhf/novelty.py": ("import json\n", "stands nowhere in the order"),
    "rlhf/data/feedback.py": ("import feedback_ui.service\n", "only stages and rlhf.online"),
    "feedback_ui/export.py": ("from rlhf.data import readers\n", "base alone"),
    "feedback_ui/quality.py": ("import torch\n", "the page works without it"),
    "feedback_ui/app.py": ("import gradio\n", "only its views may"),
}


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in [p for p in path.parents if p.is_relative_to(root) and p != root]:
            (parent / "__init__.py").touch()
    return root


def test_what_the_order_allows_is_not_reported(tmp_path: Path):
    assert broken_rules(list(imports(lay_out(tmp_path, ALLOWED)))) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_reported_with_its_place(tmp_path: Path, name: str):
    text, says = FAULTS[name]
    data = {"rlhf/data/readers.py": ""}
    problems = broken_rules(list(imports(lay_out(tmp_path, {**ALLOWED, **data, name: text}))))
    assert len(problems) == 1
    assert problems[0].startswith(f"{name}:")
    assert says in problems[0]


def test_what_base_pulls_in_by_way_of_another_package_is_reported(tmp_path: Path):
    files = {"rlhf/records.py": "import helper\n", "helper.py": "import torch\n", "torch.py": ""}
    assert heavy_at_start(lay_out(tmp_path, files)) == ["rlhf.records imports torch as it is itself imported"]
    (tmp_path / "helper.py").write_text("")
    assert heavy_at_start(tmp_path) == []
