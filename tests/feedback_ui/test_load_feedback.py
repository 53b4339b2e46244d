"""The load script: that its checks see what they are there to see."""

from people import campaign, judge_all, rater
from sqlalchemy import select, text

from feedback_ui.database import Database
from feedback_ui.schema import Judgement
from scripts.load_feedback import Log, check, main, quantile


def test_its_checks_find_what_is_lost_added_or_beyond(db: Database) -> None:
    name = campaign(db, 3)
    judge_all(db, rater(db, "a"), name)
    kept = [str(own) for own in db.read(lambda session: session.scalars(select(Judgement.id)).all())]
    assert check(db, [Log(kept[:1]), Log(kept[1:])]) == []
    assert check(db, [Log([*kept, "another"])]) == ["1 judgements lost"]
    assert check(db, [Log(kept[:2])]) == ["1 judgements that nobody was told of"]
    assert check(db, [Log(kept, errors=["StoreError: locked"])]) == [
        "1 failed requests",
        "StoreError: locked",
    ]
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE item SET wanted = 0, free = 0 WHERE place = 0"))
    assert check(db, [Log(kept)]) == ["1 items beyond their raters"]


def test_quantiles() -> None:
    assert [quantile([float(n) for n in range(100)], share) for share in (0.5, 0.99)] == [50.0, 99.0]


def test_a_short_run_holds(capsys, monkeypatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr("scripts.load_feedback.postgres_server", lambda: nullcontext(None))
    assert main(["--seconds", "0.5", "--raters", "3", "--items", "200", "--pace", "unlimited"]) == 0
    said = capsys.readouterr().out
    assert "SQLite alone" in said
    assert "judgements, " in said
