/* An answer of the rater's own. */

import { el, hint, newId } from "../dom.js";
import { say } from "../words.js";

export function write({ given, change }) {
  const id = newId("written");
  const field = el("textarea", {
    id, rows: "8", dir: "auto", placeholder: say("write.placeholder"), class: "growing",
    on: { input: () => change({ demonstration: field.value }) },
  });
  field.value = given.demonstration ?? "";
  return {
    body: el("section", { class: "own-answer" }, el("label", { for: id }, say("write.label"), hint("I")), field),
    controls: null,
    refresh: () => {
      if (field.value !== (given.demonstration ?? "")) field.value = given.demonstration ?? "";
    },
    focus: () => field.focus(),
    mood: () => "",
    key: (key) => {
      if (key === "i") field.focus();
      return key === "i";
    },
    keys: [["I", say("keys.write")]],
  };
}
