/* A live conversation: the turns so far, kept over a reload by the name of the last one. */

import { Offline, get, post } from "./api.js";
import { promptBox } from "./cards.js";
import { el } from "./dom.js";
import { composer } from "./places.js";
import { problemWords } from "./problems.js";
import { textBox } from "./text.js";
import { keep, kept, say } from "./words.js";

const MODELS_MS = 400000; // two answers of slow models, asked again where they are equal

const last = (campaign) => `feedback.chat.${campaign}`;

/* The turn was judged: what was chosen goes on. */
export function goOn(campaign, task, given) {
  keep(last(campaign), task.assignment);
  return said(task, given);
}

/* The last turn's assignment, and all that was said up to the answer that goes on. */
function said(task, given) {
  const place = given.edit ? given.edit.place : given.strength > 0 ? 1 : 0; // of a tie the first, as on the server
  const answer = given.edit ? { text: given.edit.text, html: "", dir: "auto", edited: true } : task.answers[place];
  return { assignment: task.assignment, turns: [...task.prompt, { role: "assistant", ...answer }] };
}

/* The conversation that was under way before a reload; null where there is none. */
export async function resumed(campaign) {
  const assignment = kept(last(campaign));
  if (!assignment) return null;
  try {
    const { task, given, action } = await get(`assignments/${assignment}`);
    return action === "judge" ? said(task, given) : null;
  } catch (error) {
    if (error instanceof Offline) throw error;
    keep(last(campaign), null); // another's, or of a store that is gone
    return null;
  }
}

export function conversationPlace(page, before) {
  const campaign = page.campaign.id;
  const options = { raw: page.raw, language: page.campaign.language };
  const field = composer(campaign, {
    started: before !== null,
    restart: () => {
      keep(last(campaign), null);
      page.talk(null);
    },
    send: async (message, sent) => {
      page.messages.clear();
      try {
        const { task } = await post(`campaigns/${campaign}/chat`, { message, assignment: before?.assignment ?? null }, { patience: MODELS_MS });
        sent();
        page.show({ ...page.turn, task });
        return true;
      } catch (error) {
        if (!page.away(error)) page.messages.keep(error instanceof Offline ? `${say("chat.failed")} ${reason(error)}`.trim() : problemWords(error));
        return false;
      }
    },
  });
  return {
    body: [before ? soFar(before.turns, options) : null, field.element],
    focus: field.focus,
  };
}

/* An edited answer has no HTML of the server's yet, and is shown as it was written. */
function soFar(turns, options) {
  const box = promptBox(turns, options);
  turns.forEach((turn, at) => {
    if (turn.edited) box.children[at].querySelector(".text").replaceWith(textBox(turn, { ...options, raw: true }));
  });
  return el("div", { class: "so-far" }, box);
}

const reason = (error) => (error.kind === "unavailable" ? error.message : "");
