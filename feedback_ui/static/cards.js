/* What is judged: the prompt's messages, and the answers in cards with flags and an edit where they are asked. */

import { el, icon, newId, fill } from "./dom.js";
import { LETTERS } from "./given.js";
import { textBox } from "./text.js";
import { say } from "./words.js";
import { scaleRows } from "./ways/rate.js";

export function promptBox(messages, options) {
  const title = say(messages.length > 1 ? "prompt.conversation" : "prompt.title");
  return el("section", { class: "prompt", "aria-label": title },
    messages.map((message) => el("div", { class: `turn ${message.role}` },
      el("p", { class: "role" }, messages.length > 1 || message.role !== "user" ? say(`role.${message.role}`) : title),
      textBox(message, options))));
}

/* One answer. `way.head` puts something of its own beside the title. */
export function answerCard(context, place) {
  const { task, form, given, way, count, options } = context;
  const letter = LETTERS[place];
  const answer = task.answers[place];
  const titleId = newId("answer");
  const scales = form.kind === "score" ? null : scaleRows(context, place);
  const flags = form.flags.length ? flagsOf(context, place) : null;
  const edit = form.edit ? editOf(context, place) : null;
  const content = el("div", { class: "content" });
  const shown = textBox(answer, options);
  const card = el("article", { class: "answer", "aria-labelledby": titleId, data: { place } },
    el("header", {},
      el("h3", { id: titleId }, count > 1 ? el("span", { class: "letter" }, say("answer.title", { letter })) : say("answer.only")),
      el("span", { class: "tools" }, edit?.opener, flags?.opener, way.head?.(place))),
    content,
    scales?.element,
    flags?.panel);
  return {
    card,
    refresh: () => {
      card.dataset.mood = way.mood(place);
      const wanted = edit?.isOpen() ? edit.panel : shown;
      if (content.firstChild !== wanted) fill(content, wanted);
      scales?.refresh(way.here?.());
      flags?.refresh();
      edit?.refresh();
    },
    focusScale: (scale) => scales?.focus(scale),
    focusEdit: () => edit?.focus(),
  };
}

function flagsOf({ form, given, change }, place) {
  const id = newId("flags");
  const letter = LETTERS[place];
  const of = () => given.flags?.[place] ?? [];
  let open = of().length > 0;
  const boxes = form.flags.map((flag) => ({
    flag,
    input: el("input", { type: "checkbox", on: { change: () => {
      const now = boxes.filter(({ input }) => input.checked).map((box) => box.flag);
      change({ flags: { ...given.flags, [place]: now } });
    } } }),
  }));
  const text = el("textarea", {
    rows: "2", dir: "auto", "aria-label": say("flag.text"), placeholder: say("flag.text"),
    on: { input: () => change({ flag_text: text.value }) },
  });
  const panel = el("fieldset", { class: "flags", id },
    el("legend", {}, say("flag.legend", { letter })),
    el("div", { class: "choices" }, boxes.map(({ flag, input }) => el("label", {}, input, say(`flag.${flag}`)))),
    text);
  const opener = el("button", { type: "button", class: "tool", "aria-controls": id, on: { click: () => {
    open = !open;
    change({});
    if (open) boxes[0].input.focus();
  } } }, icon("flag"), say("flag.open"));
  return {
    opener,
    panel,
    refresh: () => {
      const held = of();
      for (const { flag, input } of boxes) input.checked = held.includes(flag);
      panel.hidden = !open && !held.length;
      text.hidden = !held.length;
      if (text.value !== (given.flag_text ?? "")) text.value = given.flag_text ?? "";
      opener.setAttribute("aria-expanded", !panel.hidden);
      opener.classList.toggle("on", held.length > 0);
    },
  };
}

function editOf({ task, given, change }, place) {
  const letter = LETTERS[place];
  const isOpen = () => given.edit?.place === place;
  const field = el("textarea", {
    class: "growing", rows: "8", dir: "auto", "aria-label": say("edit.label", { letter }),
    on: { input: () => change({ edit: { place, text: field.value } }) },
  });
  const opener = el("button", { type: "button", class: "tool", on: { click: () => {
    change({ edit: { place, text: task.answers[place].text } });
    field.focus();
  } } }, icon("pen"), say("edit.open"));
  const panel = el("div", { class: "edit" },
    el("p", { class: "note" }, say("edit.label", { letter })),
    field,
    el("button", { type: "button", class: "plain", on: { click: () => {
      change({ edit: undefined });
      opener.focus();
    } } }, say("edit.discard")));
  return {
    opener,
    panel,
    isOpen,
    focus: () => field.focus(),
    refresh: () => {
      opener.hidden = given.edit !== undefined && given.edit !== null;
      if (isOpen() && field.value !== given.edit.text) field.value = given.edit.text;
    },
  };
}
