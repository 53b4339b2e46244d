/* Each answer on named scales. Scales of up to eleven points are rows of buttons, others a number. */

import { el, hint } from "../dom.js";
import { LETTERS, unrated } from "../given.js";
import { say } from "../words.js";

const MOST_POINTS = 11;

/* The rows of one answer; for any campaign that has scales. `digits` shows the keys. */
export function scaleRows({ form, given, change, name }, place) {
  const rows = form.scales.map((scale) => {
    const set = (value) => {
      const values = { ...given.ratings?.[place] };
      if (value === null) delete values[scale.name];
      else values[scale.name] = value;
      change({ ratings: { ...given.ratings, [place]: values } });
    };
    const legend = say("rate.legend", { scale: scale.name, letter: LETTERS[place] });
    const { control, show } = isLong(scale)
      ? numberField(scale, legend, set)
      : pointRow(scale, legend, set, `${name}-${place}-${scale.name}`);
    return { scale, control, show };
  });
  return {
    element: rows.length ? el("div", { class: "scales" }, rows.map((row) => row.control)) : null,
    refresh: (here) => {
      for (const { scale, control, show } of rows) {
        show(given.ratings?.[place]?.[scale.name]);
        control.classList.toggle("here", here?.place === place && here.scale === scale.name);
      }
    },
    focus: (scale) => rows.find((row) => row.scale.name === scale)?.control.querySelector("input").focus(),
  };
}

function pointRow(scale, legend, set, name) {
  const values = range(scale);
  const inputs = values.map((value) => el("input", {
    type: "radio", class: "unseen-input", name, "aria-label": String(value), on: { change: () => set(value) },
  }));
  const control = el("fieldset", { class: "points" },
    el("legend", { class: "unseen-words" }, legend),
    el("span", { class: "name", "aria-hidden": "true", dir: "auto" }, scale.name),
    el("span", { class: "row" }, values.map((value, at) => el("label", { class: "cell" }, inputs[at], el("span", {}, String(value))))));
  return { control, show: (now) => inputs.forEach((input, at) => { input.checked = values[at] === now; }) };
}

function numberField(scale, legend, set) {
  const input = el("input", {
    type: "number", min: String(scale.low), max: String(scale.high), step: "1", "aria-label": legend,
    placeholder: `${scale.low} – ${scale.high}`,
    on: { input: () => set(input.value === "" || !Number.isInteger(input.valueAsNumber) ? null : input.valueAsNumber) },
  });
  const control = el("div", { class: "points" }, el("span", { class: "name", "aria-hidden": "true", dir: "auto" }, scale.name), input);
  return {
    control,
    show: (now) => {
      if (input.valueAsNumber !== now) input.value = now === undefined ? "" : String(now);
    },
  };
}

/* Too many points for a row of buttons: typed as a number. */
export const isLong = (scale) => scale.high - scale.low + 1 > MOST_POINTS;

export const range = (scale) => [...Array(scale.high - scale.low + 1).keys()].map((step) => scale.low + step);

/* The value that a digit gives on a scale: 0 is ten where the scale has a ten and no nought. */
export function digit(scale, key) {
  if (!/^[0-9]$/.test(key) || isLong(scale)) return null;
  const value = key === "0" && scale.low > 0 ? 10 : Number(key);
  return value >= scale.low && value <= scale.high ? value : null;
}

export function rate({ form, given, change, count }) {
  let here = unrated(form, given, count) ?? { place: 0, scale: form.scales[0].name };
  return {
    controls: el("p", { class: "note keys-note" }, say("rate.hint")),
    refresh: () => {},
    here: () => here,
    focus: () => {
      here = unrated(form, given, count) ?? here;
      return here;
    },
    mood: () => "",
    key: (key) => {
      const place = LETTERS.indexOf(key.toUpperCase());
      const scale = form.scales.find((one) => one.name === here.scale);
      if (key.length === 1 && place >= 0 && place < count) {
        here = { place, scale: form.scales[0].name };
        change({});
        return true;
      }
      const value = digit(scale, key);
      if (value === null) return false;
      const { place: at } = here;
      given.ratings = { ...given.ratings, [at]: { ...given.ratings?.[at], [scale.name]: value } };
      here = following(form, count, here);
      change({});
      return true;
    },
    keys: [[digitsOf(form.scales[0]), say("keys.rate")], [`A – ${LETTERS[count - 1]}`, say("keys.answer")]],
  };
}

function following(form, count, { place, scale }) {
  const at = form.scales.findIndex((one) => one.name === scale);
  if (at + 1 < form.scales.length) return { place, scale: form.scales[at + 1].name };
  return { place: (place + 1) % count, scale: form.scales[0].name };
}

export const digitsOf = (scale) => `${Math.max(scale.low, 0)} – ${Math.min(scale.high, 9)}`;
