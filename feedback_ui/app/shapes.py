"""What the API answers: tasks as a rater may see them, texts with their safe HTML beside them."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from typing import Any

from feedback_ui.rendering import direction, rendered
from feedback_ui.service.campaigns import CampaignInfo
from feedback_ui.service.judgements import Receipt
from feedback_ui.service.past import Past
from feedback_ui.service.progress import MyProgress
from feedback_ui.service.tasks import Task

_CACHED_CHARACTERS = 20_000_000


class RenderedTexts:
    """`text`, `html` and `dir` of texts; those of late are kept, since an item is shown to several raters."""

    def __init__(self, limit: int = _CACHED_CHARACTERS) -> None:
        """Keeps at most `limit` characters of text and HTML."""
        self._limit = limit
        self._held = 0
        self._texts: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, text: str) -> dict[str, str]:
        """Of one text. Takes time for a long one, so not to be called on the event loop."""
        with self._lock:
            found = self._texts.get(text)
            if found is not None:
                self._texts.move_to_end(text)
                return found
        made = {"text": text, "html": rendered(text), "dir": direction(text)}
        with self._lock:
            if text not in self._texts:
                self._texts[text] = made
                self._held += _size(made)
            while self._held > self._limit:
                _, gone = self._texts.popitem(last=False)
                self._held -= _size(gone)
        return made


def _size(made: Mapping[str, str]) -> int:
    return len(made["text"]) + len(made["html"])


class Shapes:
    """Answers of the service as JSON, without ids of responses, models, runs and gold keys."""

    def __init__(self) -> None:
        """With texts of its own."""
        self._shown = RenderedTexts()

    def task(self, task: Task, now: datetime) -> dict[str, Any]:
        """An item as it is to be shown; `lease_s` seconds of it are left."""
        return {
            "assignment": str(task.assignment_id),
            "question": task.question,
            "form": task.form.model_dump(mode="json"),
            "language": task.language,
            "prompt": self.messages(task.prompt),
            "answers": [self._shown(answer) for answer in task.answers],
            "draft": task.draft,
            "guideline_version": task.guideline_version,
            "lease_s": max(0, round((task.lease_until - now).total_seconds())),
        }

    def messages(self, prompt: Any) -> list[dict[str, str]]:
        """A prompt as messages; a text is one of the user."""
        said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return [{"role": message["role"], **self._shown(message["content"])} for message in said]

    def campaign(self, info: CampaignInfo) -> dict[str, Any]:
        """A campaign with its guidelines."""
        return {
            "id": str(info.id),
            "name": info.name,
            "question": info.question,
            "kind": info.form.kind,
            "language": info.language,
            "status": info.status,
            "form": info.form.model_dump(mode="json"),
            "guidelines": {"version": info.guideline_version, **self._shown(info.guidelines)},
        }

    def past(self, past: Past) -> dict[str, Any]:
        """A line of the list of one's last judgements."""
        return {
            "assignment": str(past.assignment_id),
            "prompt": self.messages(past.prompt),
            "action": past.action,
            "given": past.given,
            "revision": past.revision,
            "at": past.at.isoformat(),
        }


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """That a judgement is kept."""
    return {
        "judgement": str(receipt.judgement_id),
        "assignment": str(receipt.assignment_id),
        "revision": receipt.revision,
        "action": receipt.action,
    }


def progress_json(progress: MyProgress) -> dict[str, int]:
    """How far the rater is: items done, skipped, left."""
    return {"done": progress.judged, "skipped": progress.skipped, "left": progress.waiting}
