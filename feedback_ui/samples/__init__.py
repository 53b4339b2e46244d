"""A small campaign to look around in: answers of the demo's policies, made by scripts/sample_campaign.py."""

from importlib.resources import as_file, files

from feedback_ui.database import Database
from feedback_ui.errors import Conflict
from feedback_ui.form import Form
from feedback_ui.reading import read_jsonl
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import create_campaign
from feedback_ui.service.importing import import_rows

CAMPAIGN = "samples"
LANGUAGES = ("en", "zh")
_GUIDELINES = """\
Prefer the answer that does what was asked and says nothing that is wrong. Of two that do, prefer the shorter.

选择照要求作答、没有错误的那一个。如果两个都做到了，选更简短的。
"""


def add_samples(db: Database) -> str:
    """Add the campaign where it is missing, English and Chinese prompts by turns; its name."""
    form = Form(kind="compare", flags=("unsafe", "false", "off-topic", "other"), edit=True)
    try:
        create_campaign(db, OPERATOR, CAMPAIGN, form, guidelines=_GUIDELINES)
    except Conflict:
        return CAMPAIGN
    with as_file(files(__name__)) as folder:
        each = [list(read_jsonl(folder / f"{language}.jsonl")) for language in LANGUAGES]
    import_rows(db, OPERATOR, CAMPAIGN, [row for turn in zip(*each, strict=True) for row in turn])
    return CAMPAIGN
