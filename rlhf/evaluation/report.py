"""The evaluation as one HTML page: no network, light and dark, two languages, whole without its script."""

from collections.abc import Mapping
from typing import Any

from rlhf.evaluation.page.context import context
from rlhf.evaluation.page.pages import page

SECTIONS = (
    ("answer", "The answer", "结论"),
    ("doubts", "Doubts", "疑问"),
    ("lineage", "Lineage", "来龙去脉"),
    ("contenders", "Contenders", "其他办法"),
    ("training", "Training", "训练"),
    ("groups", "By group", "分组"),
    ("reward_model", "Reward model", "奖励模型"),
    ("samples", "Side by side", "并排对照"),
    ("inspector", "Episodes", "回合"),
    ("again", "Run it again", "再跑一次"),
)


def render_report(evaluation: Mapping[str, Any]) -> str:
    """The whole page from the parsed `evaluation.json` (version 2), and from nothing else.

    Everything that a model or a dataset wrote is escaped: what is seen is what was written. No request leaves
    the page, and its policy (CSP) lets no script run but its own, named by its hash.

    Raises KeyError or jinja2's UndefinedError where a key of version 2 is missing; what is not known is null.
    """
    return page(
        "report.html.j2", ["report.css"], e=evaluation, sections=SECTIONS, prefix="", **context(evaluation)
    )
