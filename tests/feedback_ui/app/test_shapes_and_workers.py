"""Texts are made into HTML once, words are there in both languages, and hashing passwords holds up nobody."""

import asyncio
import threading

from feedback_ui.app import shapes
from feedback_ui.app.pages import words_of
from feedback_ui.app.shapes import RenderedTexts
from feedback_ui.app.workers import NUM_PASSWORDS, NUM_SERVICE, Workers


def test_a_text_is_rendered_once_and_old_ones_make_room(monkeypatch) -> None:
    made: list[str] = []

    def render(text: str) -> str:
        made.append(text)
        return text.upper()

    monkeypatch.setattr(shapes, "rendered", render)
    texts = RenderedTexts(limit=40)
    assert texts("aaaaa") == {"text": "aaaaa", "html": "AAAAA", "dir": "ltr"}
    for text in ("aaaaa", "bbbbb", "ccccc", "ddddd"):  # 10 characters each, with its HTML: four have room
        texts(text)
    assert made == ["aaaaa", "bbbbb", "ccccc", "ddddd"]
    texts("aaaaa")  # of late: "bbbbb" is the oldest now
    texts("eeeee")
    assert made == ["aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee"]
    texts("aaaaa")
    texts("bbbbb")
    assert made == ["aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee", "bbbbb"]
    texts("x" * 100)  # larger than all: shown, not kept
    assert texts("y")["html"] == "Y"


def test_both_languages_have_the_same_words() -> None:
    english, chinese = words_of("en"), words_of("zh")
    assert set(english) == set(chinese)
    for key, said in english.items():
        assert said.strip()
        assert ("{name}" in said) == ("{name}" in chinese[key])


def test_judging_goes_on_while_passwords_are_hashed() -> None:
    """More hashes than there are threads for them wait; fifty calls of the service come through."""
    release = threading.Event()
    running = threading.Semaphore(0)

    def hash_slowly() -> str:
        running.release()
        assert release.wait(60)
        return "hash"

    async def run() -> list[str]:
        workers = Workers()
        hashes = [asyncio.create_task(workers.run_password(hash_slowly)) for _ in range(2 * NUM_PASSWORDS)]
        for _ in range(NUM_PASSWORDS):
            await workers.run(running.acquire)
        answers = await asyncio.gather(*(workers.run(str, number) for number in range(50)))
        assert not any(one.done() for one in hashes)
        release.set()
        assert await asyncio.gather(*hashes) == ["hash"] * len(hashes)
        workers.close()
        return answers

    assert asyncio.run(run()) == [str(number) for number in range(50)]
    assert NUM_SERVICE >= 50
