"""The command line: what each command says and leaves behind, and how it fails."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from people import pairs, prefer_good

from feedback_ui.cli import main
from feedback_ui.database import open_database
from feedback_ui.service import accounts
from feedback_ui.service.claims import next_task, next_turn
from feedback_ui.service.joining import join
from feedback_ui.service.judgements import submit

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("create-campaign", "import", "export", "add-rater", "join-link", "raters", "status", "backup")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEEDBACK_DB", raising=False)


def write_pairs(path: Path, count: int = 3) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for _, row in pairs(count)), encoding="utf-8")
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"example:\n  python -m feedback_ui {command}" in capsys.readouterr().out


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, feedback_ui.cli\n"
        "heavy = {'torch', 'transformers', 'gradio', 'datasets', 'alembic'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stderr.strip() == ""


def test_from_a_campaign_to_an_export(place: str, tmp_path: Path, capsys) -> None:
    write_pairs(tmp_path / "pairs.jsonl")
    (tmp_path / "guide.md").write_text("请善待他人", encoding="utf-8")
    words = ["--kind", "compare", "--raters", "2", "--flags", "unsafe, false", "--scale", "helpful:1-5"]
    assert main(["create-campaign", "好", *words, "--guidelines", "guide.md", "--db", place]) == 0
    assert "next: python -m feedback_ui import 好 pairs.jsonl --db" in capsys.readouterr().out
    assert main(["import", "好", "pairs.jsonl", "--db", place]) == 0
    assert "3 items added, 0 were there already" in capsys.readouterr().out
    assert main(["add-rater", "韩梅梅", "--db", place]) == 0
    said = capsys.readouterr().out
    assert "rater '韩梅梅' in" in said
    token = said.rsplit(": ", 1)[1].strip()
    db = open_database(place)
    actor = accounts.actor_of(db, accounts.accept_invitation(db, token, "a long password"))
    while (task := next_task(db, actor, "好")) is not None:
        submit(db, actor, task.assignment_id, prefer_good(task.answers), key="k")
    db.close()
    assert main(["status", "--db", place]) == 0
    said = capsys.readouterr().out
    assert "好: open, 3 of 6 judgements (50%), 0 of 3 items complete" in said
    assert "     3  韩梅梅" in said
    assert main(["status", "好", "--json", "--db", place]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["judgements"], found["by_rater"]) == (3, {"韩梅梅": 3})
    for aggregate in ("raw", "majority", "dawid_skene"):
        words = ["--aggregate", aggregate, "--csv", "--db", place]
        assert main(["export", "好", f"out/{aggregate}", *words]) == 0
        assert "3 preferences, 0 demonstrations, 0 scores from 3 judgements" in capsys.readouterr().out
        manifest = json.loads((tmp_path / "out" / aggregate / "manifest.json").read_text(encoding="utf-8"))
        assert (manifest["campaign"], manifest["aggregate"]) == ("好", aggregate)


def test_a_crowd_by_an_open_link(place: str, tmp_path: Path, capsys) -> None:
    at = ["--db", place]
    rows = [{**row, "gold": {"better": 0}} for _, row in pairs(1)]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_pairs(tmp_path / "pairs.jsonl")
    words = ["--qualify", "1", "--pass-mark", "1", "--pause-gold", "2", "--rater-share", "0.4"]
    assert main(["create-campaign", "crowd", *words, *at]) == 0
    assert main(["import", "crowd", "gold.jsonl", "pairs.jsonl", *at]) == 0
    assert main(["raters", "crowd", *at]) == 0
    assert "nobody takes part in 'crowd'" in capsys.readouterr().out
    assert main(["join-link", "crowd", "--limit", "5", "--days", "0.5", *at]) == 0
    link = capsys.readouterr().out.split("/join/")[1].split()[0]
    db = open_database(place)
    actor = accounts.actor_of(db, join(db, link, worker="5f3c"))
    while (task := next_task(db, actor, "crowd")) is not None:
        submit(db, actor, task.assignment_id, prefer_good(task.answers), key="k")
    code = next_turn(db, actor, "crowd").completion_code
    db.close()
    assert main(["raters", "crowd", *at]) == 0
    line = "     2  5f3c: active, 1 of 1 known answers right; worker 5f3c, code "
    assert capsys.readouterr().out == f"{line}{code}\n"
    assert main(["raters", "crowd", "--pause", "5f3c", "--json", *at]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["standing"], found["code"], found["judged"]) == ("paused", code, 2)
    assert main(["join-link", "crowd", "--end", *at]) == 0
    assert "have ended" in capsys.readouterr().out
    assert main(["join-link", "crowd", "--limit", "0", *at]) == 2


def test_another_tools_export_and_all_forms_of_a_snapshot(place: str, tmp_path: Path, capsys) -> None:
    record = {
        "fields": {"title": "Why?", "left text": "A", "right text": "B"},
        "responses": {
            "q1": [{"value": "right text", "user_id": "u"}],
            "q2": [{"value": "so", "user_id": "u"}],
        },
    }
    (tmp_path / "argilla.json").write_text(json.dumps([record]), encoding="utf-8")
    at = ["--db", place]
    assert main(["create-campaign", "a", *at]) == 0
    assert main(["import", "a", "argilla.json", *at]) == 2
    assert "argilla.json: row 1: no field is a prompt by its name" in capsys.readouterr().err
    fields = ["--prompt-field", "title", "--answer-fields", "left text, right text"]
    questions = ["--question", "q1", "--reason-question", "q2", "--format", "argilla"]
    assert main(["import", "a", "argilla.json", *fields, *questions, *at]) == 0
    assert "1 judgements added with them, 0 drafts or cancelled left out" in capsys.readouterr().out
    assert main(["export", "a", "out", "--csv", "--parquet", "--datasets", *at]) == 0
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "preferences.jsonl").open(encoding="utf-8")]
    assert (row["chosen"], row["reasons"]) == ("B", ["so"])
    for made in ("csv/preferences.csv", "parquet/preferences.parquet", "datasets/preferences/state.json"):
        assert (tmp_path / "out" / made).is_file()


def test_a_password_from_standard_input(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "feedback_ui", "add-rater", "boss", "--role", "manager", "--password"]
    result = subprocess.run(
        [*run, "--db", str(tmp_path / "f.db")], input="a long password\n", text=True, cwd=ROOT,
        capture_output=True, check=True,
    )  # fmt: skip
    assert "invitation" not in result.stdout
    db = open_database(str(tmp_path / "f.db"))
    assert accounts.actor_of(db, accounts.sign_in(db, "boss", "a long password")).role == "manager"
    db.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status"], "there is no store at "),
        (["status", "--db", "mysql://x/y"], "--db mysql://x/y names no store"),
        (["create-campaign", "a", "--kind", "rate"], "kind=rate has at least one scale"),
        (["create-campaign", "a", "--scale", "helpful"], "--scale 'helpful' is not NAME:LOW-HIGH"),
        (["create-campaign", "a", "--raters", "0"], "raters per item=0 is not 1 to 1000"),
        (["create-campaign", "a", "--overlap", "2"], "overlap=2.0 is a share"),
        (["create-campaign", "a", "--gold-share", "1"], "gold share=1.0 is 0 to less than 1"),
        (["create-campaign", "a", "--lease", "0"], "lease=0 s is not 10 s to a week"),
        (["create-campaign", "a", "--flags", "rude"], "flags rude are unknown"),
        (
            ["create-campaign", "a", "--guidelines", "no.md"],
            "--guidelines no.md cannot be read: No such file",
        ),
        (["create-campaign", "a", "--language", "Chinese!"], "is no language tag"),
    ],
)
def test_errors_are_short_and_clear_and_exit_with_2(words: list[str], said: str, capsys) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) <= 3
    assert captured.out == ""


def test_errors_in_a_store(tmp_path: Path, capsys) -> None:
    assert main(["create-campaign", "a"]) == 0
    write_pairs(tmp_path / "pairs.jsonl")
    (tmp_path / "bad.jsonl").write_text("{}\n" * 30)
    for words, said in (
        (["create-campaign", "a"], "there is a campaign 'a' already"),
        (["import", "b", "pairs.jsonl"], "there is no campaign 'b'; there are: a"),
        (["import", "a", "none.jsonl"], "none.jsonl cannot be read: No such file"),
        (["import", "a", "bad.jsonl"], "... and 10 more\nno row can be used; docs/feedback.md says"),
        (["export", "a", "out"], "nothing was judged yet in the campaign 'a'"),
        (["status", "b"], "there is no campaign 'b'"),
        (["backup", "pairs.jsonl"], "is there already; a backup is never written over"),
        (["backup", "no/folder/x.db"], "the backup no/folder/x.db cannot be written"),
    ):
        capsys.readouterr()
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_a_backup_is_the_store_at_one_moment(tmp_path: Path, capsys) -> None:
    assert main(["create-campaign", "a"]) == 0
    write_pairs(tmp_path / "pairs.jsonl", 50)
    assert main(["import", "a", "pairs.jsonl"]) == 0
    assert main(["backup", "copy.db"]) == 0
    assert main(["status", "--db", "copy.db"]) == 0
    assert "0 of 50 items complete" in capsys.readouterr().out
    with sqlite3.connect("copy.db") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_backup_of_a_server_names_its_own_tool(server, capsys) -> None:
    url = server.fresh()
    assert main(["create-campaign", "a", "--db", url]) == 0
    assert main(["backup", "copy.dump", "--db", url]) == 2
    assert "pg_dump --format=custom --file=copy.dump" in capsys.readouterr().err
