/* One answer, one tap: a score on a scale, or a thumb. Where nothing else is asked, the tap sends it. */

import { el, hint, icon } from "../dom.js";
import { say } from "../words.js";
import { digit, digitsOf, isLong, range } from "./rate.js";

export function score({ form, given, change, tapped }) {
  const [scale] = form.scales;
  if (isLong(scale)) return number({ given, change, scale });
  const buttons = range(scale).map((value) => ({
    value,
    button: el("button", { type: "button", class: "cell", on: { click: () => tapped({ score: value }) } },
      el("span", {}, String(value))),
  }));
  return {
    controls: el("div", { class: "score", role: "group", "aria-label": legend(scale) },
      el("span", { class: "name", "aria-hidden": "true", dir: "auto" }, scale.name),
      el("span", { class: "row" }, buttons.map(({ button }) => button))),
    refresh: () => buttons.forEach(({ value, button }) => button.setAttribute("aria-pressed", given.score === value)),
    focus: () => buttons[0].button.focus(),
    mood: () => "",
    key: (key) => {
      const value = digit(scale, key);
      if (value !== null) tapped({ score: value });
      return value !== null;
    },
    keys: [[digitsOf(scale), say("keys.score")]],
  };
}

function number({ given, change, scale }) {
  const input = el("input", {
    type: "number", min: String(scale.low), max: String(scale.high), step: "any", "aria-label": legend(scale),
    placeholder: `${scale.low} – ${scale.high}`,
    on: { input: () => change({ score: input.value === "" ? undefined : input.valueAsNumber }) },
  });
  return {
    controls: el("div", { class: "score" }, el("span", { class: "name", "aria-hidden": "true", dir: "auto" }, scale.name), input, hint("i")),
    refresh: () => {
      if (input.valueAsNumber !== given.score && given.score !== undefined) input.value = String(given.score);
    },
    focus: () => input.focus(),
    mood: () => "",
    key: (key) => {
      if (key === "i") input.focus();
      return key === "i";
    },
    keys: [["I", say("keys.write")]],
  };
}

const legend = (scale) => say("score.legend", { scale: scale.name, low: scale.low, high: scale.high });

export function thumb({ given, change, tapped }) {
  const button = (value, name, key) =>
    el("button", { type: "button", class: `thumb ${name}`, on: { click: () => tapped({ thumb: value }) } },
      icon(name), el("span", {}, say(`thumb.${name}`)), hint(key));
  const up = button(true, "up", "1");
  const down = button(false, "down", "2");
  return {
    controls: el("div", { class: "thumbs", role: "group", "aria-label": say("compare.legend") }, up, down),
    refresh: () => {
      up.setAttribute("aria-pressed", given.thumb === true);
      down.setAttribute("aria-pressed", given.thumb === false);
    },
    focus: () => up.focus(),
    mood: () => "",
    key: (key) => {
      if (key !== "1" && key !== "2") return false;
      tapped({ thumb: key === "1" });
      return true;
    },
    keys: [["1", say("keys.up")], ["2", say("keys.down")]],
  };
}
