/* An earlier judgement, said anew: begun from the list of the last ones, gone on with after a reload. */

import { get } from "./api.js";
import { problemWords } from "./problems.js";
import { keep, kept, say } from "./words.js";

const UNDER_WAY = "feedback.correcting.";

/* The correction that was under way in a campaign when the page was left; null where there was none. */
export const underWay = (campaign) => kept(UNDER_WAY + campaign);

/* None is under way any more. */
export const endCorrection = (campaign) => keep(UNDER_WAY + campaign, null);

export async function correct(page, { assignment }) {
  try {
    await page.drafts.save();
    takeUp(page, await get(`assignments/${assignment}`));
  } catch (error) {
    if (!page.away(error)) page.messages.keep(problemWords(error));
  }
}

/* Goes on with one that was under way, where something of it was given that was not sent. */
export async function correctAgain(page, assignment) {
  try {
    const judged = await page.ask(() => get(`assignments/${assignment}`));
    if (isAny(page.drafts.found(judged.task, judged.revision).given)) takeUp(page, judged);
  } catch (error) {
    page.away(error); // another's, or of a store that is gone: nothing to go on with
  }
}

/* Back to the item in hand, the judgement left as it was. */
export async function leaveCorrection(page) {
  await page.drafts.discard();
  await page.load();
}

const isAny = (given) => Object.keys(given).length > 0;

function takeUp(page, { task, given, action, revision }) {
  const begun = page.drafts.begin(task, revision);
  page.correcting = { task };
  keep(UNDER_WAY + page.campaign.id, task.assignment);
  page.take(task, isAny(begun) ? begun : action === "judge" ? given : {});
  scrollTo({ top: 0, behavior: "instant" });
  page.draw();
  if (isAny(begun)) page.messages.pass(say("told.draft"));
}
