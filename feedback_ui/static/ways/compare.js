/* Two answers, seven points from one to the other, and "both are bad". */

import { el, hint } from "../dom.js";
import { strengthWords } from "../given.js";
import { say } from "../words.js";

const POINTS = [-3, -2, -1, 0, 1, 2, 3];

export function compare({ given, change, name }) {
  const said = el("p", { class: "chosen-words", "aria-hidden": "true" });
  const inputs = new Map();

  const choose = (value) => change(value === "bad" ? { strength: undefined, both_bad: true } : { strength: value, both_bad: false });
  const point = (value, key) => {
    const input = el("input", { type: "radio", class: "unseen-input", name, "aria-label": say(`compare.${value}`) });
    input.addEventListener("change", () => choose(value));
    inputs.set(value, input);
    const size = value === "bad" ? "bad" : Math.abs(value);
    return el("label", { class: `point side${Math.sign(value) || 0} size${size}`, title: say(`compare.${value}`) },
      input,
      el("span", { class: "mark", "aria-hidden": "true" }, ...marks(value)),
      el("span", { class: "short", "aria-hidden": "true" }, say(`compare.short.${size}`)),
      hint(key));
  };

  const controls = el("fieldset", { class: "compare" },
    el("legend", { class: "unseen-words" }, say("compare.legend")),
    el("div", { class: "scale" },
      POINTS.map((value, at) => point(value, String(at + 1))),
      point("bad", "0")),
    said);

  const refresh = () => {
    const now = given.both_bad ? "bad" : given.strength;
    for (const [value, input] of inputs) input.checked = value === now;
    said.textContent = strengthWords(given) || say("compare.hint");
    said.classList.toggle("empty", now === undefined);
  };

  return {
    controls,
    refresh,
    focus: () => inputs.get(given.strength ?? 0).focus(),
    /* How the cards look: the better one, or both bad. */
    mood: (place) => {
      if (given.both_bad) return "bad";
      if (!given.strength) return given.strength === 0 ? "equal" : "";
      return (given.strength > 0) === (place === 1) ? "better" : "";
    },
    key: (key) => {
      if (!/^[0-7]$/.test(key)) return false;
      choose(key === "0" ? "bad" : Number(key) - 4);
      return true;
    },
    keys: [["1 – 7", say("keys.compare")], ["0", say("keys.bad")]],
  };
}

function marks(value) {
  const both = (sign) => [el("b", {}, "A"), sign, el("b", {}, "B")];
  if (value === "bad") return both(el("i", { class: "cross" }));
  if (value === 0) return both(el("i", {}, "="));
  const dots = el("i", {}, "●".repeat(Math.abs(value)));
  return value < 0 ? ["A", dots] : [dots, "B"];
}
