/* A live conversation: the turns so far, kept over a reload by the name of the last one. */

import { Offline, get, post } from "./api.js";
import { promptBox } from "./cards.js";
import { el } from "./dom.js";
import { composer } from "./places.js";
import { keep, kept, say } from "./words.js";

const MODELS_MS = 400000; // two answers of slow models, asked again where they are equal

const last = (campaign) => `feedback.chat.${campaign}`;

/* The turn was judged: what was chosen goes on. */
export function goOn(campaign, task, given) {
  keep(last(campaign), task.assignment);
  return turns(task, given);
}

function turns(task, given) {
  const place = given.edit ? given.edit.place : given.strength > 0 ? 1 : 0; // of a tie the first, as on the server
  const answer = given.edit ? { text: given.edit.text, html: "", dir: "auto", edited: true } : task.answers[place];
  return [...task.prompt, { role: "assistant", ...answer }];
}

/* The conversation that was under way before a reload; null where there is none. */
export async function resumed(campaign) {
  const assignment = kept(last(campaign));
  if (!assignment) return null;
  try {
    const { task, given, action } = await get(`assignments/${assignment}`);
    return action === "judge" ? turns(task, given) : null;
  } catch (error) {
    if (error instanceof Offline) throw error;
    keep(last(campaign), null); // another's, or of a store that is gone
    return null;
  }
}

export function conversationPlace(page, said) {
  const campaign = page.campaign.id;
  const options = { raw: page.raw, language: page.campaign.language };
  const field = composer(campaign, {
    started: said !== null,
    restart: () => {
      keep(last(campaign), null);
      page.talk(null);
    },
    send: async (message, sent) => {
      page.messages.clear();
      const before = said === null ? {} : { assignment: kept(last(campaign)) };
      try {
        const { task } = await post(`campaigns/${campaign}/chat`, { message, ...before }, { patience: MODELS_MS });
        sent();
        page.show({ ...page.turn, task });
        return true;
      } catch (error) {
        if (!page.away(error)) page.messages.keep(error instanceof Offline ? `${say("chat.failed")} ${said503(error)}`.trim() : page.words(error));
        return false;
      }
    },
  });
  const shown = (said ?? []).map((turn) => (turn.edited ? promptBox([turn], { ...options, raw: true }) : null));
  return {
    body: [said ? promptOf(said, options, shown) : null, field.element],
    focus: field.focus,
  };
}

/* An edited answer has no HTML of the server yet, and is shown as it was written. */
function promptOf(said, options, edited) {
  const box = promptBox(said.map((turn) => (turn.edited ? { ...turn, text: "" } : turn)), options);
  edited.forEach((one, at) => {
    if (one) box.children[at].querySelector(".text").replaceWith(one.querySelector(".text"));
  });
  return el("div", { class: "so-far" }, box);
}

const said503 = (error) => (error.kind === "unavailable" ? error.message : "");
