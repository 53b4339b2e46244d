/* The guidelines: always at hand, pointed at before the first item, and again when they have changed. */

import { get } from "./api.js";
import { guidelinesPanel } from "./panels.js";
import { keep, kept, say } from "./words.js";

const READ = "feedback.guidelines.";

export function openGuidelines(page) {
  keep(READ + page.campaign.id, "1");
  done(page);
  guidelinesPanel(page.root, page.campaign);
}

/* With an item: that there are guidelines, or new ones. */
export async function pointAtGuidelines(page, task) {
  const { id, guidelines } = page.campaign;
  if (task.guideline_version > guidelines.version) {
    page.campaign = await page.ask(() => get(`campaigns/${id}`));
    if (page.campaign.guidelines.version > guidelines.version) {
      point(page, "guidelines.changed");
      return;
    }
  }
  const { done: judged, skipped } = page.turn.progress;
  const isFirst = judged + skipped === 0 && guidelines.text.trim() && kept(READ + id) === null;
  if (isFirst) point(page, "guidelines.first");
  else if (page.pointed === "guidelines.first") done(page); // it was judged without
}

function point(page, words) {
  page.pointed = words;
  page.messages.point(say(words), { words: say("guidelines.read"), act: () => openGuidelines(page), key: "G" });
}

function done(page) {
  if (page.pointed) page.messages.clear();
  page.pointed = null;
}
