/* What opens over the page: guidelines, last judgements, keys, why something is skipped. */

import { el, icon, newId, hint } from "./dom.js";
import { described } from "./given.js";
import { excerpt, textBox } from "./text.js";
import { keep, kept, say, tag } from "./words.js";

const KEYS_OFF = "feedback_keys_off";
const SKIPS = ["unclear", "cannot-judge", "language", "broken", "disturbing", "other"];

/* A native dialog: it takes the focus, gives it back, and closes with Escape. */
export function openPanel(into, title, content, kind = "drawer") {
  const id = newId("panel");
  const panel = el("dialog", { class: `panel ${kind}`, "aria-labelledby": id },
    el("header", {},
      el("h2", { id }, title),
      el("button", { type: "button", class: "tool", "aria-label": say("page.close"), title: say("page.close"), on: { click: () => panel.close() } }, icon("close"))),
    el("div", { class: "inside" }, content));
  panel.addEventListener("close", () => panel.remove());
  panel.addEventListener("click", (event) => event.target === panel && panel.close()); // beside it
  into.append(panel);
  panel.showModal();
  return panel;
}

export function guidelinesPanel(into, { guidelines, language }) {
  const written = guidelines.text.trim()
    ? textBox(guidelines, { raw: false, language })
    : el("p", {}, say("guidelines.none"));
  return openPanel(into, say("guidelines.title"), [
    written, el("p", { class: "note" }, say("guidelines.version", { n: guidelines.version })),
  ]);
}

export function pastPanel(into, form, past, correct) {
  const lines = past.map((one) => el("li", {},
    el("p", { class: "excerpt", dir: one.prompt.at(-1).dir }, excerpt(one.prompt.at(-1).text)),
    el("p", { class: "said" },
      one.action === "skip" ? say("past.skipped", { why: say(`skip.${one.given.skip}`) }) : described(form, one.given)),
    el("p", { class: "note" },
      new Date(one.at).toLocaleString(tag(), { dateStyle: "medium", timeStyle: "short" }),
      one.revision > 1 ? ` · ${say("past.revised")}` : "",
      " ",
      el("button", { type: "button", class: "plain", on: { click: () => {
        panel.close();
        correct(one);
      } } }, say("past.correct")))));
  const panel = openPanel(into, say("past.title"),
    lines.length ? el("ol", { class: "past" }, lines) : el("p", {}, say("past.none")));
  return panel;
}

/* Single keys can be turned off: who speaks to the machine would press them by accident. */
export const usesKeys = () => kept(KEYS_OFF) === null;

export function keysPanel(into, ofItem) {
  const general = [
    ["⏎", say("keys.send")], ["S", say("keys.skip")], ["U", say("keys.undo")], ["G", say("keys.guidelines")],
    ["L", say("keys.past")], ["R", say("keys.raw")], ["?", say("keys.help")], ["Esc", say("keys.leave")],
  ];
  return openPanel(into, say("keys.title"), [
    el("dl", { class: "keys" }, [...ofItem, ...general].map(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)])),
    el("p", { class: "note" }, say("keys.typing")),
    el("label", { class: "use-keys" }, el("input", {
      type: "checkbox", checked: usesKeys(), on: { change: (event) => keep(KEYS_OFF, event.target.checked ? null : "1") },
    }), say("keys.use")),
  ], "middle");
}

/* Calls `chosen(reason, text)`. */
export function skipPanel(into, chosen) {
  const text = el("textarea", { rows: "2", dir: "auto", "aria-label": say("skip.text"), placeholder: say("skip.text") });
  const choose = (reason) => {
    panel.close();
    chosen(reason, text.value.trim());
  };
  const buttons = SKIPS.map((reason, at) =>
    el("button", { type: "button", on: { click: () => choose(reason) } }, say(`skip.${reason}`), hint(String(at + 1))));
  const panel = openPanel(into, say("skip.title"), [el("div", { class: "reasons" }, buttons), text], "middle");
  panel.addEventListener("keydown", (event) => {
    if (event.target === text || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const reason = SKIPS[Number(event.key) - 1];
    if (reason) {
      event.preventDefault();
      choose(reason);
    }
  });
  buttons[0].focus();
  return panel;
}
