"""The memory of one LoRA base beside four models: how a peak is read, what is written down, when it fails."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import bench_memory
from scripts.bench_memory import MIB, ROOT, main, peak_bytes, write_pairs


def test_a_peak_counts_what_was_given_back() -> None:
    """From a small process, as the script is: a child's peak is at least what its parent held."""
    code = (
        "import sys; from scripts.bench_memory import peak_bytes\n"
        "for size in (101, 301):\n"
        "    print(peak_bytes([sys.executable, '-c', f'x = bytearray({size} << 20); del x'], 1))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    small, large = map(float, done.stdout.split())
    assert (large - small) / MIB == pytest.approx(200, abs=10)


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="ended with 3:\nno room"):
        peak_bytes([sys.executable, "-c", "print('no room'); raise SystemExit(3)"], 1)


@pytest.mark.parametrize(("lora", "code"), [(400.0, 0), (401.0, 1)])
def test_the_ratio_decides(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lora: float,
    code: int,
) -> None:
    monkeypatch.setattr(bench_memory, "measure", lambda *_: {"full": 1000.0, "lora": lora})
    assert main(["--out", str(tmp_path)]) == code
    page = (tmp_path / "memory.md").read_text()
    assert page.strip() == capsys.readouterr().out.strip()
    assert f"| adapters on one base | {lora:.0f} |" in page
    assert json.loads((tmp_path / "memory.json").read_text())["ratio"] == lora / 1000


def test_pairs_are_preferences_over_the_prompts(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"p{n}", "ids": [n]}) + "\n" for n in range(9)))
    write_pairs(prompts, tmp_path / "pairs.jsonl", count=7)
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()
    ]
    assert [row["prompt"] for row in rows] == [f"p{n}" for n in range(7)]
    assert all(row["chosen"].isupper() and row["rejected"].islower() for row in rows)
