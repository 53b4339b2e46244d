/* What a rater does with an item: sends it, skips it, takes the last one back. */

import { Refused, get, post } from "./api.js";
import { goOn } from "./conversation.js";
import { randomKey } from "./dom.js";
import { described } from "./given.js";
import { skipPanel } from "./panels.js";
import { problemWords } from "./problems.js";
import { say } from "./words.js";

const SHOWN_SOON_MS = 400;

export async function send(page) {
  if (page.busy || !page.item) return;
  const lacking = page.item.missing();
  if (lacking) {
    page.dock.tell(lacking.words);
    page.item.guide(lacking.where);
    return;
  }
  const { task, correcting } = page;
  const given = page.item.toSend();
  const words = described(task.form, given);
  const body = { given, key: randomKey(), active_s: page.active.seconds };
  const reply = await deliver(page, `assignments/${task.assignment}/${correcting ? "revise" : "judge"}`, body);
  if (!reply) return;
  page.drafts.forget(task.assignment);
  if (correcting) {
    page.messages.pass(say("told.corrected"));
    await page.load();
    return;
  }
  if (task.form.kind === "chat") page.said = goOn(page.campaign.id, task, given); // what the conversation goes on from
  await following(page, task, reply.next, say("told.kept", { said: words }));
}

async function following(page, task, next, words) {
  page.last = task.assignment;
  page.undoing = null;
  scrollTo({ top: 0, behavior: "instant" });
  await page.show(next, { quiet: true });
  page.messages.pass(words, { words: say("action.undo"), act: () => undo(page), key: "U" });
}

/* Sends by way of the outbox; null where the server said no, which the page then shows. */
async function deliver(page, path, body) {
  page.busy = true;
  const soon = setTimeout(() => page.sending(true), SHOWN_SOON_MS);
  const { item } = page.drafts;
  page.drafts.close();
  try {
    return await page.outbox.send(path, body);
  } catch (error) {
    if (page.away(error)) return null;
    page.messages.keep(problemWords(error));
    if (error.kind === "invalid") page.drafts.open({ ...item, seconds: body.active_s });
    else await page.load();
    return null;
  } finally {
    clearTimeout(soon);
    page.busy = false;
    page.sending(false);
  }
}

export function openSkip(page) {
  if (page.busy || !page.item || page.correcting) return;
  skipPanel(page.root, async (reason, text) => {
    const { task } = page;
    const reply = await deliver(page, `assignments/${task.assignment}/skip`, { reason, text, key: randomKey() });
    if (reply) await following(page, task, reply.next, say("told.skipped"));
  });
}

export async function undo(page) {
  if (page.busy || page.correcting || !page.campaign) return;
  page.busy = true;
  try {
    await page.drafts.save();
    const target = page.undoing?.assignment ?? page.last ?? (await get(`campaigns/${page.campaign.id}/past?limit=1`))[0]?.assignment;
    if (!target) {
      page.messages.pass(say("told.nothing_to_undo"));
      return;
    }
    page.undoing ??= { assignment: target, key: randomKey() }; // the same click again, if this one gets lost
    const { task } = await post(`assignments/${target}/undo`, { key: page.undoing.key });
    page.undoing = page.last = null;
    const { done, left } = page.turn.progress;
    await page.show({ ...page.turn, task, state: "open", progress: { done: done - 1, left: left + 1 } }, { quiet: true });
    page.messages.pass(say("told.undone"));
  } catch (error) {
    if (error instanceof Refused) page.undoing = page.last = null;
    if (!page.away(error)) page.messages.keep(problemWords(error));
  } finally {
    page.busy = false;
  }
}
