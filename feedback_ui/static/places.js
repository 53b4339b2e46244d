/* What is shown where there is no item: the choice of a campaign, the end, the start of a conversation. */

import { el, newId } from "./dom.js";
import { questionWords } from "./given.js";
import { knows, kept, keep, number, say } from "./words.js";

export function campaignChoice(campaigns, choose) {
  if (!campaigns.length) return el("section", { class: "plain-place" }, el("h2", {}, say("campaigns.none")));
  return el("section", { class: "plain-place" },
    el("h2", { tabIndex: -1 }, say("campaigns.title")),
    el("ul", { class: "campaigns" }, campaigns.map((one) => el("li", {},
      el("button", { type: "button", on: { click: () => choose(one.id) } },
        el("b", { dir: "auto" }, one.name),
        el("span", { class: "note", dir: "auto" }, questionWords(one.question, one.kind)),
        el("span", { class: "note" }, say("campaigns.left", { left: number(one.left), done: number(one.done) })))))));
}

export function ending({ state, progress, completion_code: code }, other) {
  const isEmpty = state === "finished" && progress.done + progress.skipped === 0; // nobody is thanked for nothing
  return el("section", { class: "plain-place", role: "status" },
    el("h2", { tabIndex: -1 }, say(isEmpty ? "campaigns.none" : `state.${state}`)),
    !isEmpty && knows(`state.${state}.more`) ? el("p", {}, say(`state.${state}.more`)) : null,
    code ? codeBox(code) : null,
    other ? el("button", { type: "button", on: { click: other } }, say("campaigns.other")) : null);
}

function codeBox(code) {
  const copy = el("button", { type: "button", on: { click: async () => {
    await navigator.clipboard.writeText(code);
    copy.textContent = say("page.copied");
  } } }, say("page.copy"));
  return el("p", { class: "code" }, el("span", {}, say("state.code")), el("code", {}, code), navigator.clipboard ? copy : null);
}

/* The field for the next message of a conversation. `send(message)` resolves to whether it was answered. */
export function composer(campaign, { started, send, restart }) {
  const name = `feedback.chat.${campaign}.message`;
  const id = newId("message");
  const field = el("textarea", {
    id, rows: "3", dir: "auto", class: "growing", placeholder: say("chat.placeholder"),
    on: {
      input: () => keep(name, field.value),
      keydown: (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.isComposing || event.keyCode === 229 || event.repeat) return;
        event.preventDefault();
        go();
      },
    },
  });
  field.value = kept(name) ?? "";
  const button = el("button", { type: "button", class: "send ready", on: { click: () => go() } }, el("span", {}, say("chat.send")));
  let busy = false;
  const go = async () => {
    if (busy || !field.value.trim()) {
      field.focus();
      return;
    }
    busy = true;
    field.readOnly = true;
    button.setAttribute("aria-busy", true);
    button.firstChild.textContent = say("chat.waiting");
    const answered = await send(field.value, () => keep(name, null));
    busy = false;
    if (answered) return;
    field.readOnly = false;
    button.setAttribute("aria-busy", false);
    button.firstChild.textContent = say("chat.send");
    field.focus();
  };
  return {
    element: el("section", { class: "composer" },
      el("label", { for: id }, say(started ? "chat.message" : "chat.title")),
      field,
      el("div", { class: "actions" },
        el("span", { class: "aside" }, started ? el("button", { type: "button", on: { click: restart } }, say("chat.new")) : null),
        el("p", { class: "note" }, say("chat.enter")),
        button)),
    focus: () => field.focus(),
  };
}
