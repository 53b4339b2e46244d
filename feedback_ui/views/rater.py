"""The rater's page: a Gradio page that holds one element, drawn by feedback_ui/static/rater.js.

The page is drawn by scripts of our own, and not by Gradio's components, because of what a rater needs:
keys, drafts, an outbox that survives a network failure, model text that is never anything but text, and
the next item without a way through an event queue. It holds no data; the scripts ask the JSON API, which
knows who asks.
"""

import gradio as gr

_PLACE = '<div id="rater"><p role="status">Feedback · 反馈 …</p></div>'
# Gradio builds a function of this and calls it once the element is there.
_START = """
const place = element.querySelector("#rater");
import("/static/rater.js").then((page) => page.start(place)).catch((error) => {
  place.textContent = `The page could not be loaded; load it again. 页面未能载入，请重新载入。 (${error})`;
});
"""


def rater_page() -> gr.Blocks:
    """The page at `/`. The campaign is named by the address, as in `/?campaign=ID`."""
    with gr.Blocks(title="Feedback", fill_width=True, analytics_enabled=False) as page:
        gr.HTML(html_template=_PLACE, js_on_load=_START, apply_default_css=False, elem_id="rater-page")
    return page
