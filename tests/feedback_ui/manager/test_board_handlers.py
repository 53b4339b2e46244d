"""What the board's handlers do and show, called as Gradio calls them."""

import asyncio
import json
import time
import zipfile
from pathlib import Path

import pytest
from boards import Page, is_skipped, manager
from many import many_judgements
from people import campaign, pairs, rater
from test_board_figures import prefer

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import accept_invitation, accounts, sign_in
from feedback_ui.service.adjudication import disputes
from feedback_ui.service.audit import audit_log
from feedback_ui.service.campaigns import campaign_info, campaigns
from feedback_ui.service.progress import campaign_progress
from feedback_ui.views.board_campaigns import scales_of
from feedback_ui.views.board_disputes import given_of
from feedback_ui.views.board_html import answer, text
from feedback_ui.views.board_words import words_in

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}${7*7}`"


@pytest.fixture
def contested(db: Database) -> str:
    """A campaign of two pairs on which two raters contradict each other."""
    name = campaign(db, 2, raters_per_item=2)
    prefer(db, name, rater(db, "a"), [True, True])
    prefer(db, name, rater(db, "b"), [False, False])
    return name


def test_nobody_but_a_manager_sees_or_does_anything(db: Database, contested: str) -> None:
    before = len(audit_log(db, OPERATOR))
    for who in (None, rater(db, "c")):
        page = Page(db, who)
        seen = [page.quick(contested), page.slow(contested)]
        for own in ("status-paused", "disable", "add-rater", "export", "import", "erase", "dispute-settle"):
            handler = page.handler(own)
            seen.append(handler(page.request, page.id_of(contested), *[None] * 10))
        assert all(is_skipped(update) for updates in seen for update in updates)
        notice, content, *rest = page.opened()
        assert (notice["visible"], content["visible"]) == (True, False)
        assert all(is_skipped(update) for update in rest)
    assert len(audit_log(db, OPERATOR)) == before + 1  # rater c was added
    assert campaign_progress(db, OPERATOR, contested).status == "open"


def test_nothing_of_the_store_is_in_what_everybody_is_sent(db: Database, contested: str) -> None:
    page = manager(db, "boss who is here")
    page.opened()
    page.shown(contested)
    sent = page.config()
    pseudonyms = [one.pseudonym for one in accounts(db, OPERATOR)]
    for secret in ("good 0", "model-a", "boss who", page.id_of(contested), *pseudonyms):
        assert secret not in sent


def test_what_a_handler_gives_is_what_gradio_shows(db: Database, contested: str) -> None:
    """Of an only output Gradio takes a list for the value: the log would be a table of one cell."""
    page = manager(db)
    saves = page.blocks.fns[page.id_of_event("save-guidelines", "click")]
    single = [one for one in page.blocks.fns.values() if one.fn and len(one.outputs) == 1]
    looks = [one for one in single if one.fn.__name__ == "run" and len(one.inputs) == 1]
    assert len(looks) >= 2  # the log, and the clock of the loop
    for one, values in (*((one, []) for one in looks), (saves, ["Be kind."])):
        given = one.fn(page.request, page.id_of(contested), *values)
        (shown,) = asyncio.run(page.blocks.postprocess_data(one, given, None))
        assert shown["__type__"] == "update"


def test_the_opening_says_all_in_the_manager_s_language(db: Database) -> None:
    campaign(db, 1, name="第一")
    campaign(db, 1, name="zweite")
    for language, title in (("en", "Manager's board"), ("zh", "管理面板")):
        page = Page(db, rater(db, f"boss {language}", role="manager"), language)
        notice, content, head, chosen, *rest = page.opened()
        assert (notice["visible"], content["visible"], chosen) == (False, True, language)
        assert text(title) in head
        (dropdown,) = [update for update in rest if "choices" in update and "value" in update]
        assert [name for name, _ in dropdown["choices"]] == ["zweite", "第一"]
        assert dropdown["value"] == page.id_of("zweite")
        page.request.query_params["campaign"] = page.id_of("第一")
        assert any(update.get("value") == page.id_of("第一") for update in page.opened()[4:])


def test_figures_are_shown(db: Database, contested: str) -> None:
    shown = manager(db).shown(contested)
    for said in (
        "2 / 2",
        "4 of 4 judgements",
        "2 items are in dispute",
        "Krippendorff",
        "model-a",
        "问题 0?",
    ):
        assert said in shown, said


def test_a_board_without_campaigns_says_so(db: Database) -> None:
    page = manager(db)
    assert "There is no campaign yet" in page.shown(None)
    page.press("status-paused", None)  # says that one must be chosen, and does nothing


def test_a_dispute_is_settled_and_the_next_one_comes(db: Database, contested: str) -> None:
    page = manager(db)
    looked = next(update for update in page.slow(contested) if hasattr(update, "item_id"))
    assert looked.item_id == disputes(db, OPERATOR, contested)[0].item_id
    nothing = [None, None, "", None, [], ""]
    assert all(is_skipped(one) for one in page.press("dispute-settle", contested, looked, *nothing))
    after, shown, *_ = page.press("dispute-settle", contested, looked, "-2", *nothing[1:])
    (left,) = disputes(db, OPERATOR, contested)
    assert after.item_id == left.item_id != looked.item_id
    assert "Item in dispute 1 of 1" in shown
    again = page.press("dispute-settle", contested, after, "both_bad", *nothing[1:])
    assert again[0].item_id is None
    assert disputes(db, OPERATOR, contested) == []


def test_one_looks_back_and_forth_among_disputes(db: Database, contested: str) -> None:
    page = manager(db)
    first = next(update for update in page.slow(contested) if hasattr(update, "item_id"))
    second = page.press("dispute-after", contested, first)[0]
    assert (second.place, second.item_id != first.item_id) == (1, True)
    assert page.press("dispute-after", contested, second)[0].item_id == second.item_id
    assert page.press("dispute-before", contested, second)[0].item_id == first.item_id


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("compare", ("-3", None, "", None, [], ""), {"strength": -3}),
        ("compare", ("both_bad", None, "", None, [], " "), {"both_bad": True}),
        ("thumb", (None, "down", "", None, [], "so"), {"thumb": False, "reason": "so"}),
        ("rank", (None, None, "2 > 1 = 3", None, [], ""), {"ranking": [[1], [0, 2]]}),
        ("rank", (None, None, "3＞1＝2", None, [], ""), {"ranking": [[2], [0, 1]]}),
        ("score", (None, None, "", 4, [], ""), {"score": 4}),
        ("rate", (None, None, "", None, [["1", "4"]], ""), {"ratings": {0: {"help": 4}}}),
    ],
)  # fmt: skip
def test_what_a_manager_gives(kind, given, expected) -> None:
    scales = [{"name": "help"}] if kind in ("score", "rate") else []
    form = Form.model_validate({"kind": kind, "scales": scales})
    assert given_of(words_in("en"), form, *given) == expected


@pytest.mark.parametrize("said", ["", "1 > x", "1 >", "0 > 1", "-1 > 2", "1.5"])
def test_a_ranking_that_cannot_be_read(said: str) -> None:
    with pytest.raises(InvalidFeedback, match="2 > 1 = 3"):
        given_of(words_in("en"), Form(kind="rank"), None, None, said, None, [], "")


def test_pause_open_and_close(db: Database) -> None:
    name = campaign(db, 1)
    page = manager(db)
    for button, status in (("paused", "paused"), ("open", "open"), ("closed", "closed")):
        table, overview = page.press(f"status-{button}", name)
        assert campaign_progress(db, OPERATOR, name).status == status
        assert table["value"]["data"] == [[name, "Compare two", status, "0 / 1", "0 / 1"]]
        assert f">{status}<" in overview


def test_guidelines_get_a_version(db: Database) -> None:
    name = campaign(db, 1)
    page = manager(db)
    (box,) = page.press("save-guidelines", name, "Be **kind**.")
    assert (campaign_info(db, OPERATOR, name).guideline_version, box["value"]) == (2, "Be **kind**.")
    assert "Version 2" in box["info"]


def test_a_new_campaign_and_rows_for_it(db: Database, tmp_path: Path) -> None:
    page = manager(db)
    values = ["rate them", "", "zh", "Be kind.", "rate", "help:1-5，真:0-1", ["unsafe"], "required", False]
    name, dropdown = page.press("create-campaign", None, *values, 3, 0.5, 0.1, 0, 0.8, 1, 0)
    (made,) = campaigns(db, OPERATOR)
    assert (made.name, made.language, made.guidelines) == ("rate them", "zh", "Be kind.")
    assert [(scale.name, scale.low, scale.high) for scale in made.form.scales] == [
        ("help", 1, 5),
        ("真", 0, 1),
    ]
    assert (name, dropdown["value"]) == ("", str(made.id))

    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "?", "responses": ["a", "b"]}\nnot JSON\n', "utf-8")
    cleared, came_to = page.press("import", "rate them", str(file))
    assert cleared is None
    assert "1 items added" in came_to
    assert "rows.jsonl:2" in came_to
    assert not file.exists()
    assert "0 / 1" in page.quick("rate them")[0]


def test_scales_that_cannot_be_read() -> None:
    with pytest.raises(InvalidFeedback, match="is not NAME:LOW-HIGH"):
        scales_of(words_in("en"), "help:1-5, harm")


def test_an_export_is_a_zip_of_the_snapshot(db: Database, contested: str) -> None:
    page = manager(db)
    (made, taken) = page.press("export", contested, "majority", ["csv", "parquet", "datasets"])
    with zipfile.ZipFile(made["value"]) as packed:
        names = packed.namelist()
        manifest = json.loads(packed.read("pairs-1-majority/manifest.json"))
    assert "pairs-1-majority/preferences.jsonl" in names
    assert "pairs-1-majority/csv/preferences.csv" in names
    assert "pairs-1-majority/parquet/judgements.parquet" in names
    assert "pairs-1-majority/datasets/judgements/dataset_info.json" in names
    assert (manifest["aggregate"], manifest["counts"]["judgements"]) == ("majority", 4)
    assert taken["value"]["data"][0][1:3] == ["4", manifest["sha256"][:16]]
    second = page.press("export", contested, "raw", [])[0]["value"]
    assert Path(second).name == "pairs-2-raw.zip"


def test_people_are_invited_by_link(db: Database) -> None:
    page = manager(db)
    name, link, table, _ = page.press("add-rater", None, " 李雷 ", "rater")
    assert name == ""
    address, _, token = link["value"].rpartition("/")
    assert address == "https://page.example/join"
    accept_invitation(db, token, "a long password")
    assert sign_in(db, "李雷", "a long password")
    assert table["value"]["data"][1][:3] == ["李雷", "rater", "without a password"]


def person(db: Database, name: str) -> str:
    return str(next(one.id for one in accounts(db, OPERATOR) if one.name == name))


def test_accounts_are_shut_but_not_one_s_own(db: Database) -> None:
    page = manager(db)
    rater(db, "a")
    page.press("disable", None, person(db, "a"))
    page.press("disable", None, person(db, "boss"))
    assert {one.name: one.disabled for one in accounts(db, OPERATOR)} == {"a": True, "boss": False}


def test_who_is_erased_is_named_twice(db: Database, judged: str) -> None:
    page = manager(db)
    own = person(db, "韩梅梅")
    page.press("erase", judged, own, "remove", "韩梅")
    assert campaign_progress(db, OPERATOR, judged).judgements == 3
    page.press("erase", judged, own, "remove", " 韩梅梅 ")
    assert campaign_progress(db, OPERATOR, judged).judgements == 0
    assert [one.name for one in accounts(db, OPERATOR)] == ["boss"]


def test_hostile_names_and_texts_stay_text(db: Database) -> None:
    rows = [(place, {**row, "prompt": HOSTILE}) for place, row in pairs(1)]
    name = campaign(db, name=HOSTILE, rows=rows, raters_per_item=2)
    prefer(db, name, rater(db, HOSTILE), [True])
    prefer(db, name, rater(db, "b"), [False])
    shown = "".join(update for update in manager(db).slow(name) if isinstance(update, str))
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    for way in ("<img", "{{", "${", "`"):
        assert way not in shown
    for said in (HOSTILE, '"><script>alert(1)</script>', "' onmouseover='x"):
        for made in (text(said), answer(said)):
            assert "<script" not in made
            assert "<img" not in made
            assert "{{" not in made
        assert not set("<>\"'`{}$") & set(text(said))


def test_ten_thousand_judgements_open_in_under_two_seconds(db: Database) -> None:
    """Processor time, for the machine may be busy; the figures are there, as of the last judgement."""
    name = many_judgements(db, items=3334)
    page = manager(db)
    page.slow(name)
    start = time.process_time()
    page.opened()
    page.quick(name)
    page.slow(name)
    assert time.process_time() - start < 2.0
