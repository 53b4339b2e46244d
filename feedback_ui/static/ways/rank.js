/* Up to six answers in an order: each is put next by a click or its letter; between two stands > or =. */

import { el, fill, hint } from "../dom.js";
import { LETTERS } from "../given.js";
import { say } from "../words.js";

export function rank({ given, change, count }) {
  const strip = el("div", { class: "order", role: "group", "aria-label": say("rank.legend") });
  const chips = [];

  const groups = () => given.ranking ?? [];
  const placed = (place) => groups().findIndex((group) => group.includes(place));
  const set = (ranking) => change({ ranking });

  const toggle = (place) => {
    if (placed(place) < 0) set([...groups(), [place]]);
    else set(groups().map((group) => group.filter((one) => one !== place)).filter((group) => group.length));
  };
  /* Joins the group at `at` with the one before it, or has it begin a group of its own before `place`. */
  const tie = (at) => set([...groups().slice(0, at - 1), [...groups()[at - 1], ...groups()[at]], ...groups().slice(at + 1)]);
  const part = (at, within) => set([
    ...groups().slice(0, at), groups()[at].slice(0, within), groups()[at].slice(within), ...groups().slice(at + 1),
  ]);
  const takeBack = () => {
    const last = groups().at(-1);
    if (last) set([...groups().slice(0, -1), ...(last.length > 1 ? [last.slice(0, -1)] : [])]);
  };

  const between = (sign, label, act) =>
    el("button", { type: "button", class: "between", "aria-label": label, title: label, on: { click: act } }, sign);

  const refresh = () => {
    const shown = groups().flatMap((group, at) => group.flatMap((place, within) => [
      within > 0 ? between("=", say("rank.equal"), () => part(at, within))
        : at > 0 ? between("›", say("rank.better"), () => tie(at)) : [],
      el("button", {
        type: "button", class: "chip", title: say("rank.remove", { letter: LETTERS[place] }),
        "aria-label": `${LETTERS[place]}, ${say("rank.place", { n: at + 1 })}. ${say("rank.remove", { letter: LETTERS[place] })}`,
        on: { click: () => toggle(place) },
      }, LETTERS[place]),
    ]).flat());
    const rest = [...Array(count).keys()].filter((place) => placed(place) < 0);
    const focused = strip.getRootNode().activeElement;
    const had = strip.contains(focused) ? [...strip.children].indexOf(focused) : -1;
    fill(strip,
      shown,
      rest.length && shown.length ? el("span", { class: "gap", "aria-hidden": "true" }, "›") : [],
      rest.map((place) => el("button", {
        type: "button", class: "chip open", "aria-label": say("rank.put", { letter: LETTERS[place] }),
        title: say("rank.put", { letter: LETTERS[place] }), on: { click: () => toggle(place) },
      }, LETTERS[place], hint(LETTERS[place].toLowerCase()))));
    if (had >= 0) (strip.children[Math.min(had, strip.children.length - 1)])?.focus();
    chips.forEach(({ button, place }) => {
      const at = placed(place);
      button.classList.toggle("set", at >= 0);
      button.firstChild.textContent = at < 0 ? say("rank.choose") : String(at + 1);
      button.setAttribute("aria-pressed", at >= 0);
      const name = say(at < 0 ? "rank.put" : "rank.remove", { letter: LETTERS[place] });
      button.setAttribute("aria-label", at < 0 ? name : `${say("rank.place", { n: at + 1 })}. ${name}`);
    });
  };

  return {
    controls: el("div", { class: "rank" }, el("p", { class: "note" }, say("rank.hint")), strip),
    refresh,
    focus: () => strip.querySelector("button")?.focus(),
    mood: (place) => (placed(place) === 0 ? "better" : ""),
    head: (place) => {
      const button = el("button", { type: "button", class: "next", on: { click: () => toggle(place) } }, el("span"));
      chips.push({ button, place });
      return button;
    },
    key: (key) => {
      const place = LETTERS.indexOf(key.toUpperCase());
      if (key.length === 1 && place >= 0 && place < count) toggle(place);
      else if (key === "=" && groups().length > 1) tie(groups().length - 1);
      else if (key === "Backspace") takeBack();
      else return false;
      return true;
    },
    keys: [
      [`A – ${LETTERS[count - 1]}`, say("keys.rank")], ["=", say("keys.tie")], ["⌫", say("keys.back")],
    ],
  };
}
