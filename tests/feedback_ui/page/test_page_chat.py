"""A live conversation: two answers a turn, the chosen one goes on, and a model that fails loses nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from raters import choose, press, question, send
from served import form_of

from feedback_ui.app.policies import Endpoint

pytestmark = pytest.mark.browser


class Models:
    """Two policies behind one endpoint, each with words of its own; another `status` makes them fail."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[list[dict[str, str]]] = []
        models = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                models.asked.append(body["messages"])
                said = f"<b>{body['model']}</b> on **{body['messages'][-1]['content']}**"
                answer = json.dumps(
                    {"choices": [{"message": {"role": "assistant", "content": said}}]}
                ).encode()
                self.send_response(models.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        url = f"http://127.0.0.1:{self.server.server_port}/v1"
        return tuple(
            Endpoint(name, url, spoken)
            for name, spoken in (("secret-before", "one"), ("secret-after", "two"))
        )


@pytest.fixture
def models() -> Iterator[Models]:
    made = Models()
    yield made
    made.server.shutdown()
    made.server.server_close()


def say(page: Any, words: str) -> None:
    page.locator(".composer textarea").wait_for()
    page.keyboard.type(words)  # the field has the focus
    page.keyboard.press("Enter")


def test_the_chosen_answer_goes_on_by_keys_over_a_reload_and_by_mouse(
    serve: Callable[..., Any], open_page: Callable[..., Any], models: Models
) -> None:
    site = serve(settings={"endpoints": models.endpoints})
    page = open_page(site.campaign("chat", 0))
    say(page, "第一问")
    question(page, "第一问")
    first = page.locator(".answer .text").all_inner_texts()
    assert sorted(first) == ["<b>one</b> on 第一问", "<b>two</b> on 第一问"]
    assert "secret" not in page.content() + str(
        page.evaluate("document.querySelector('#rater').shadowRoot.innerHTML")
    )
    press(page, "6", "Enter")
    page.locator(".so-far .turn.assistant", has_text=first[1]).wait_for()

    page.reload()
    page.locator(".so-far .turn.assistant", has_text=first[1]).wait_for()
    page.locator(".composer textarea").fill("second")
    page.locator(".composer .send").click()
    question(page, "second")
    assert page.locator(".prompt .turn").count() == 3
    assert [turn["content"] for turn in models.asked[-1]] == ["第一问", raw(first[1], "第一问"), "second"]
    second = page.locator(".answer .text").first.inner_text()
    choose(page, "A is much better")
    send(page)
    page.locator(".so-far .turn.assistant", has_text=second).wait_for()
    assert [one["strength"] for one in site.judgements()] == [2, 3]

    page.get_by_role("button", name="New conversation").click()
    page.get_by_text("Start a conversation").wait_for()
    say(page, "anew")
    question(page, "anew")
    assert page.locator(".prompt .turn").count() == 1
    assert len(models.asked[-1]) == 1


def raw(shown: str, message: str) -> str:
    """What a model said, of what is shown of it."""
    return shown.replace(message, f"**{message}**")


def test_a_model_that_does_not_answer_is_said_and_the_message_stays(
    serve: Callable[..., Any], open_page: Callable[..., Any], models: Models
) -> None:
    site = serve(settings={"endpoints": models.endpoints})
    page = open_page(site.campaign("chat", 0), expect_errors=True)
    models.status = 500
    say(page, "hello?")
    page.get_by_text("Your message is kept; send it again.").wait_for()
    assert page.locator(".composer textarea").input_value() == "hello?"
    page.reload()
    page.locator(".composer textarea").wait_for()
    assert page.locator(".composer textarea").input_value() == "hello?"
    models.status = 200
    page.locator(".composer .send").click()
    question(page, "hello?")


def test_enter_that_ends_a_composition_sends_nothing(
    serve: Callable[..., Any], open_page: Callable[..., Any], models: Models
) -> None:
    site = serve(settings={"endpoints": models.endpoints})
    page = open_page(site.campaign("chat", 0))
    page.locator(".composer textarea").wait_for()
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "ni hao", "selectionStart": 6, "selectionEnd": 6})
    page.locator(".composer textarea").dispatch_event(
        "keydown", {"key": "Enter", "keyCode": 229, "isComposing": True, "bubbles": True}
    )
    client.send("Input.insertText", {"text": "你好"})
    press(page, "Shift+Enter")
    page.keyboard.type("line two")
    assert models.asked == []
    page.keyboard.press("Enter")
    question(page, "你好")
    assert models.asked[0] == [{"role": "user", "content": "你好\nline two"}]


def test_an_edited_answer_is_what_goes_on(
    serve: Callable[..., Any], open_page: Callable[..., Any], models: Models
) -> None:
    site = serve(settings={"endpoints": models.endpoints})
    page = open_page(site.campaign("chat", 0, form=form_of("chat", edit=True)))
    say(page, "hi")
    question(page, "hi")
    page.get_by_role("button", name="Improve").last.click()
    page.get_by_label("Answer B, improved by you").fill("<i>mine</i>")
    press(page, "Escape", "7", "Enter")
    page.locator(".so-far .turn.assistant", has_text="<i>mine</i>").wait_for()
    say(page, "and?")
    question(page, "and?")
    assert models.asked[-1][1] == {"role": "assistant", "content": "<i>mine</i>"}
