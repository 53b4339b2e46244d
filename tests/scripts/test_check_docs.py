"""Faults planted in a page of documentation are reported; what is right is not."""

from pathlib import Path

import pytest

from scripts import check_docs
from scripts.check_docs import (
    RUN,
    Command,
    broken_links,
    commands_in,
    lay_out,
    refusals,
    run_all,
    unknown_keys,
    unknown_targets,
)

PAGE = """\
Prose with python -m rlhf.run stage=foo is no command.

```bash
$ HF_HUB_OFFLINE=1 python -m rlhf.run stage=sft name=mine   # a comment
make demo && python -m rlhf.run \\
    stage=ppo kl=adaptive
ls runs
```

<!-- not run: needs a GPU -->

```
python -m rlhf.runs list
```

```text
python -m rlhf.run stage=STAGE [key=value ...]
```
"""


def test_commands_are_found_where_they_stand():
    assert list(commands_in(PAGE, "page.md")) == [
        Command("page.md:4", (*RUN, "stage=sft", "name=mine")),
        Command("page.md:6", ("make", "demo")),
        Command("page.md:6", (*RUN, "stage=ppo", "kl=adaptive")),
        Command("page.md:13", ("python", "-m", "rlhf.runs", "list"), "needs a GPU"),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("stage=sft stage.epoch=3", "did you mean stage.epochs"),
        ("stage=foo", "there is no such option"),
        ("stage=ppo stage.minibatch_size=48", "does not divide"),
        ("-m stage=ppo kl.targt=1,2", "kl.targt"),
        ("--seed 3", "no such flag"),
        ("-m stage=sft,rm seed=0,1 name=mine", ""),
        ("stage=ppo --cfg job", ""),
        ("--help", ""),
    ],
)
def test_a_refused_command_is_reported_and_no_other(words: str, says: str):
    problems = list(refusals([Command("page.md:1", (*RUN, *words.split()))]))
    assert len(problems) == bool(says)
    assert all(says in problem and problem.startswith("page.md:1: ") for problem in problems)


def test_a_command_that_is_not_run_needs_a_reason():
    page = "<!-- not run: -->\n```\npython -m rlhf.run stage=sft\n```\n"
    assert list(refusals(commands_in(page, "p"))) == ["p:3: `<!-- not run: -->` gives no reason"]


def test_a_command_that_fails_is_reported_with_what_it_said(monkeypatch: pytest.MonkeyPatch):
    ran: list[list[str]] = []

    def main(words: list[str]) -> int:
        ran.append(words)
        print("error: no reward model")
        return 2 if "stage=ppo" in words else 0

    monkeypatch.setattr(check_docs.run, "main", main)
    commands = [Command(f"p:{n}", (*RUN, *words)) for n, words in enumerate((["stage=sft"], ["stage=ppo"]))]
    problems = run_all([*commands, *commands])
    assert len(problems) == 1
    assert problems[0].startswith("p:1: ")
    assert "no reward model" in problems[0]
    assert [words[0] for words in ran] == ["stage=all", "stage=sft", "stage=ppo"]  # each once
    assert all("preset=smoke" in words for words in ran)


def test_files_that_a_command_names_are_laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    lay_out(["data.preferences=my/pairs.jsonl", "reward.path=mine.py:score", "data.prompts=org/hub-id"])
    assert (tmp_path / "my" / "pairs.jsonl").read_text().count("rejected") == 300
    assert "def score(" in (tmp_path / "mine.py").read_text()
    assert not (tmp_path / "org").exists()


def test_links_lead_to_files_and_headings(tmp_path: Path):
    (tmp_path / "other.md").write_text("# A heading, with `code`\n")
    page = tmp_path / "page.md"
    text = (
        "[a](other.md) [b](other.md#a-heading-with-code) [c](https://example.org/x) [d](#own)\n\n## Own\n"
        "![e](missing.png) [f](other.md#b)\n```\n[g](in-code.md)\n```\n[h](#nowhere)\n"
    )
    page.write_text(text)
    assert list(broken_links(page, text)) == [
        "page.md:4: there is no missing.png",
        "page.md:4: other.md has no heading #b",
        "page.md:8: page.md has no heading #nowhere",
    ]


def test_keys_in_code_exist():
    text = (
        "`kl.target=6` `stage.rm.epochs` `name=x` `data.jsonl` `torch.float32` `lam=1` `reward.parts.mine`\n"
    )
    assert list(unknown_keys(text, "p")) == []
    wrong = "`kl.targt` and `stage.epoch=3`\n"
    assert [problem.split("`")[1] for problem in unknown_keys(wrong, "p")] == ["kl.targt", "stage.epoch=3"]


def test_targets_exist():
    makefile = "PARTS := demo kill\ntest: env\n"
    commands = [Command("p:1", ("make", word, "WORKERS=2")) for word in ("test", "acceptance-kill", "tset")]
    problems = list(unknown_targets(commands, makefile))
    assert problems == ["p:1: make tset WORKERS=2: the Makefile has no target tset"]
