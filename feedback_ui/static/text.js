/* A text that somebody or something has written: formatted by the server, or raw, and never anything but text. */

import { el } from "./dom.js";
import { number, say } from "./words.js";

const LONG = 20000; // characters from which a text scrolls in a box of its own
const UNSEEN = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/gu;

/* `shown` is {text, html, dir}; `language` the campaign's, which decides how Chinese characters are drawn. */
export function textBox(shown, { raw, language }) {
  const box = el("div", { class: raw ? "text raw" : "text", dir: shown.dir });
  if (language && language !== "any") box.lang = language;
  if (raw) writeRaw(box, shown.text);
  else box.innerHTML = shown.html; // of feedback_ui/rendering.py, which lets no markup of the text through
  if (shown.text.length > LONG) {
    box.classList.add("long");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", say("answer.long", { n: number(shown.text.length) }));
  }
  return box;
}

/* Exactly the text; characters that nobody sees are marked around, not changed. */
function writeRaw(box, text) {
  let from = 0;
  for (const found of text.slice(0, LONG).matchAll(UNSEEN)) {
    box.append(text.slice(from, found.index));
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    box.append(el("span", { class: "unseen", data: { code: `U+${code}` } }, found[0]));
    from = found.index + found[0].length;
  }
  box.append(text.slice(from));
}

/* One line of a text for a list. */
export function excerpt(text, length = 140) {
  const line = text.slice(0, 4 * length).replace(/\s+/g, " ").trim();
  const cut = [...line].slice(0, length).join("");
  return cut.length < line.length || text.length > 4 * length ? `${cut} …` : cut;
}
