/* Around the item: the header, the dock, and the lines that say what happened. */

import { leaveCorrection } from "./corrections.js";
import { el, fill, hint, icon } from "./dom.js";
import { openPanel } from "./panels.js";
import { isDark } from "./shade.js";
import { number, say, spoken } from "./words.js";

const TOAST_MS = 6000;

export function header(page) {
  const { me, campaign, turn, campaigns } = page;
  const tool = (name, words, act, { key, kind = "" } = {}) =>
    el("button", { type: "button", class: `tool ${kind}`, title: key ? `${words} (${key})` : words, on: { click: act } },
      icon(name), el("span", { class: "words" }, words));
  const tools = campaign && [
    tool("book", say("action.guidelines"), () => page.openGuidelines(), { key: "G" }),
    tool("clock", say("action.past"), () => page.openPast(), { key: "L" }),
    tool("raw", say(page.raw ? "page.formatted" : "page.raw"), () => page.switchRaw(), { key: "R" }),
    tool("keys", say("action.keys"), () => page.openKeys(), { key: "?", kind: "wide" }),
  ];
  return el("header", { class: "top" },
    el("div", { class: "where" },
      el("h1", { dir: "auto" }, campaign ? campaign.name : say("page.title")),
      turn ? progress(turn.progress) : null),
    el("nav", { class: "tools", "aria-label": say("page.tools") },
      tools,
      languageSwitch(page, "wide"),
      shadeSwitch(page, "wide"),
      tool("person", me.name, () => openMenu(page, campaigns), { kind: "menu" })));
}

export const progressWords = ({ done, left }) =>
  left ? say("progress.of", { done: number(done), all: number(done + left) }) : say("progress.done", { done: number(done) });

function progress({ done, left }) {
  return el("p", { class: "progress" },
    left ? el("progress", { max: done + left, value: done, "aria-label": say("progress.bar") }) : null,
    el("span", {}, progressWords({ done, left })));
}

/* Each language is named in itself. */
function languageSwitch(page, kind = "") {
  const other = spoken() === "en" ? "zh" : "en";
  const name = { en: "English", zh: "中文" }[other];
  return el("button", { type: "button", class: `tool language ${kind}`, lang: other, on: { click: () => page.switchLanguage(other) } }, name);
}

function shadeSwitch(page, kind = "") {
  const words = say(isDark() ? "page.light" : "page.dark");
  return el("button", { type: "button", class: `tool shade ${kind}`, title: words, on: { click: () => page.switchShade() } },
    icon(isDark() ? "sun" : "moon"), el("span", { class: "words" }, words));
}

function openMenu(page, campaigns) {
  const { me } = page;
  const act = (words, handle) => el("button", { type: "button", on: { click: () => {
    panel.close();
    handle();
  } } }, words);
  const panel = openPanel(page.root, say("page.signed_in_as", { name: me.name }), el("div", { class: "reasons" },
    languageSwitch(page), shadeSwitch(page),
    act(say("action.keys"), () => page.openKeys()),
    campaigns.length > 1 && page.campaign ? act(say("campaigns.other"), () => page.choose()) : null,
    me.role === "manager" ? el("a", { class: "button", href: "/manage/" }, say("page.manage")) : null,
    me.single_person ? null : act(say("page.sign_out"), () => page.signOut())), "middle");
}

/* What stands at the bottom: the controls of the kind, and what can be done with the item. */
export function dock(page) {
  const { item, correcting } = page;
  const problem = el("p", { class: "problem", role: "alert" });
  const send = el("button", { type: "button", class: "send", on: { click: () => page.send() } },
    el("span", {}, say(correcting ? "action.save" : "action.send")), hint("⏎"));
  const aside = correcting
    ? [el("button", { type: "button", on: { click: () => leaveCorrection(page) } }, say("action.back"))]
    : [
      el("button", { type: "button", on: { click: () => page.openSkip() } }, el("span", {}, say("action.skip")), hint("S")),
      el("button", { type: "button", class: "undo", on: { click: () => page.undo() } }, el("span", {}, say("action.undo")), hint("U")),
    ];
  return {
    element: el("footer", { class: "dock" }, el("div", { class: "inside" },
      item.controls,
      el("div", { class: "actions" }, el("span", { class: "aside" }, aside), problem, send))),
    refresh: () => {
      send.classList.toggle("ready", item.missing() === null);
    },
    tell: (words) => {
      problem.textContent = words;
    },
    sending: (on) => {
      send.setAttribute("aria-busy", on);
      if (item.controls) item.controls.inert = on;
      send.firstChild.textContent = say(on ? "action.sending" : correcting ? "action.save" : "action.send");
    },
  };
}

/* One line that stays (`keep` what is wrong, `point` at what is there), one that passes, and one for those who
   listen. They outlive the drawing of the page. */
export function messages() {
  const bar = el("div", { class: "notice", role: "status" });
  const toast = el("div", { class: "toast", role: "status" });
  const heard = el("p", { class: "unseen-words", "aria-live": "polite" });
  bar.hidden = toast.hidden = true;
  let timer;
  const line = (place, words, actions) => {
    fill(place, el("p", {}, words), actions.map(({ words: named, act, key }) =>
      el("button", { type: "button", on: { click: () => {
        place.hidden = true;
        act();
      } } }, el("span", {}, named), key ? hint(key) : null)));
    place.hidden = false;
  };
  const stay = (words, actions, calm) => {
    bar.classList.toggle("calm", calm);
    line(bar, words, actions.length ? actions : [{ words: say("page.dismiss"), act: () => {} }]);
  };
  return {
    above: [bar, heard],
    below: toast,
    keep: (words, ...actions) => stay(words, actions, false),
    point: (words, ...actions) => stay(words, actions, true),
    clear: () => {
      bar.hidden = true;
    },
    pass: (words, ...actions) => {
      line(toast, words, actions);
      clearTimeout(timer);
      timer = setTimeout(() => {
        toast.hidden = true;
      }, TOAST_MS);
    },
    hear: (words) => {
      heard.textContent = words;
    },
  };
}
