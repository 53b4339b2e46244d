/* One item in hand: what is shown of it, what is given, and what of that can be sent. */

import { answerCard, promptBox } from "./cards.js";
import { el, hint, newId } from "./dom.js";
import { cleaned, missing, questionWords } from "./given.js";
import { say } from "./words.js";
import { WAYS } from "./ways/all.js";

/* Args: `given` is changed in place; `changed` is called after each change; `send` after a tap that is enough. */
export function judging({ task, given, options, changed, send, taps }) {
  const { form } = task;
  const count = task.answers.length;
  const context = { task, form, given, count, options, name: newId("choice") };

  const refresh = () => {
    way.refresh();
    for (const card of cards) card.refresh();
    reason?.refresh();
  };
  context.change = (patch) => {
    Object.assign(given, patch);
    refresh();
    changed();
  };
  context.tapped = (patch) => {
    context.change(patch);
    if (taps && missing(form, given, count) === null) send();
  };

  const way = (context.way = WAYS[form.kind](context));
  const cards = task.answers.map((_, place) => answerCard(context, place));
  const reason = form.reason === "off" ? null : reasonOf(context);
  const heading = el("h2", { class: "question", tabIndex: -1 }, el("span", { dir: "auto" }, questionWords(task.question, form.kind)));
  refresh();

  return {
    heading,
    body: [
      promptBox(task.prompt, options),
      heading,
      count ? el("section", { class: `answers n${count}` }, cards.map(({ card }) => card)) : null,
      way.body,
      reason?.element,
    ],
    controls: way.controls,
    keys: [...way.keys, ...(reason ? [["W", say("keys.why")]] : [])],
    refresh,
    key: (key) => {
      if (key === "w" && reason) {
        reason.focus();
        return true;
      }
      return way.key(key);
    },
    missing: () => missing(form, given, count),
    /* Puts the person where something is missing. */
    guide: (where) => {
      if (where === "reason") reason.focus();
      else if (where === "edit") cards[given.edit.place].focusEdit();
      else {
        const at = way.focus();
        if (at?.scale) cards[at.place].focusScale(at.scale);
      }
    },
    /* As it is sent: an edit that changes nothing is none. */
    toSend: () => {
      const sent = cleaned(given);
      const lines = (text) => text.replace(/\r\n?/g, "\n");
      if (sent.edit && lines(sent.edit.text) === lines(task.answers[sent.edit.place].text)) delete sent.edit;
      return sent;
    },
  };
}

function reasonOf({ form, given, change }) {
  const id = newId("reason");
  const field = el("textarea", {
    id, rows: "1", class: "growing", dir: "auto", "aria-required": form.reason === "required" ? "true" : null,
    on: { input: () => change({ reason: field.value }) },
  });
  return {
    element: el("section", { class: "reason" },
      el("label", { for: id }, say(`reason.${form.reason}`), hint("W")), field),
    refresh: () => {
      if (field.value !== (given.reason ?? "")) field.value = given.reason ?? "";
    },
    focus: () => field.focus(),
  };
}
