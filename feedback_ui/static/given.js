/* What a rater gives, in the fields of feedback_ui/form.py: what of it is missing still, and how it is said. */

import { say } from "./words.js";
import { excerpt } from "./text.js";

export const LETTERS = ["A", "B", "C", "D", "E", "F"];

// The questions of feedback_ui/service/campaigns.py
const USUAL = {
  compare: "Which answer is better?", chat: "Which answer is better?", rank: "Rank the answers, best first.",
  rate: "Rate each answer.", score: "How good is this answer?", thumb: "Is this a good answer?",
  write: "Write the answer that you would want to get.",
};

/* The campaign's own question, or the usual one of its kind in the language of the interface. */
export const questionWords = (question, kind) => (question === USUAL[kind] ? say(`question.${kind}`) : question);

/* The fields that hold something, as they are sent. */
export function cleaned(given) {
  const kept = {};
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("_") || value === null || value === undefined || value === "" || value === false && name !== "thumb") continue;
    if (name === "flags" || name === "ratings") {
      const filled = Object.entries(value).filter(([, held]) => Object.keys(held).length);
      if (filled.length) kept[name] = Object.fromEntries(filled);
    } else if (name === "ranking") {
      if (value.length) kept[name] = value;
    } else kept[name] = value;
  }
  if (kept.flag_text && !kept.flags) delete kept.flag_text;
  return kept;
}

/* The words for what is missing, and where: null where it can be sent. */
export function missing(form, given, count) {
  const scale = form.scales[0];
  const needs = {
    compare: () => given.strength === undefined && !given.both_bad,
    chat: () => given.strength === undefined && !given.both_bad,
    rank: () => (given.ranking ?? []).flat().length < count,
    rate: () => unrated(form, given, count) !== null,
    score: () => typeof given.score !== "number" || given.score < scale.low || given.score > scale.high,
    thumb: () => typeof given.thumb !== "boolean",
    write: () => !(given.demonstration ?? "").trim(),
  };
  if (needs[form.kind]()) {
    const kind = form.kind === "chat" ? "compare" : form.kind;
    return { where: "main", words: say(`need.${kind}`, { n: count, low: scale?.low, high: scale?.high }) };
  }
  if (form.reason === "required" && !(given.reason ?? "").trim()) return { where: "reason", words: say("need.reason") };
  if (given.edit && !given.edit.text.trim()) return { where: "edit", words: say("need.edit") };
  return null;
}

/* The first answer and scale without a rating. */
export function unrated(form, given, count) {
  for (let place = 0; place < count; place += 1)
    for (const scale of form.scales)
      if (given.ratings?.[place]?.[scale.name] === undefined) return { place, scale: scale.name };
  return null;
}

export function strengthWords(given) {
  if (given.both_bad) return say("compare.bad");
  return given.strength === undefined ? "" : say(`compare.${given.strength}`);
}

/* A judgement in a line. */
export function described(form, given) {
  const how = {
    compare: () => strengthWords(given),
    chat: () => strengthWords(given),
    rank: () => (given.ranking ?? []).map((group) => group.map((place) => LETTERS[place]).join(" = ")).join(" > "),
    rate: () => rated(given),
    score: () => `${form.scales[0].name}: ${given.score}`,
    thumb: () => say(given.thumb ? "thumb.up" : "thumb.down"),
    write: () => excerpt(given.demonstration ?? "", 60),
  };
  return how[form.kind]();
}

function rated(given) {
  return Object.entries(given.ratings ?? {})
    .map(([place, values]) => `${LETTERS[place]} ${Object.values(values).join("/")}`)
    .join(" · ");
}
