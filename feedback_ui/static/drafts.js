/* What was begun survives a reload and another machine: at once in the browser, soon after on the server. */

import { Offline, post } from "./api.js";
import { cleaned } from "./given.js";
import { keep, keptJson, keptNames } from "./words.js";

const SOON_MS = 1200;
const BEAT_MS = 60000;
const OLD_MS = 14 * 86400000;
const PREFIX = "feedback.draft.";

export class Drafts {
  /* `active` is the time at the item; `lost` is called when the server says that it is no longer ours. */
  constructor(active, lost) {
    this.active = active;
    this.lost = lost;
    document.addEventListener("visibilitychange", () => document.hidden && this.save(true));
    addEventListener("pagehide", () => this.save(true));
    setInterval(() => this.beat(), BEAT_MS);
    this.forgetOld();
  }

  /* What was begun of an item: the later of what the browser and the server have. A draft of the server without
     a time is of an undo or a late answer, and newer than what the browser has. */
  begin(task) {
    const own = keptJson(PREFIX + task.assignment);
    const theirs = task.draft;
    const at = theirs ? (theirs._at ?? Infinity) : -1;
    const found = own && own.at >= at ? own.given : theirs;
    this.open({ assignment: task.assignment, seconds: own?.seconds ?? 0 });
    return Object.fromEntries(Object.entries(found ?? {}).filter(([name]) => !name.startsWith("_")));
  }

  open(item) {
    this.item = item;
    this.active.begin(item?.seconds ?? 0);
    clearTimeout(this.timer);
    this.unsaved = null;
  }

  change(given) {
    if (!this.item) return;
    this.unsaved = { ...cleaned(given), _at: Date.now() };
    const { _at: at, ...held } = this.unsaved;
    keep(PREFIX + this.item.assignment, JSON.stringify({ given: held, at, seconds: this.active.seconds }));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SOON_MS);
  }

  async save(leaving = false) {
    const { item, unsaved: draft } = this;
    if (!item || !draft) return;
    clearTimeout(this.timer);
    this.unsaved = null;
    try {
      // a browser lets a page that goes away send no more than 64 KiB
      const { held } = await post(`assignments/${item.assignment}/draft`, { draft }, { keepalive: leaving && JSON.stringify(draft).length < 30000 });
      if (!held && this.item === item) this.lost();
    } catch (error) {
      // The browser has it, and the server gets it with the next change. Where it says no, so it will when the
      // judgement is sent, which is when the person can do something about it.
      if (error instanceof Offline && this.item === item && !this.unsaved) this.unsaved = draft;
    }
  }

  /* The item stays ours while somebody is at it. */
  async beat() {
    const { item } = this;
    if (!item || !this.active.here) return;
    if (this.unsaved) {
      await this.save();
      return;
    }
    try {
      const { held } = await post(`assignments/${item.assignment}/heartbeat`, {});
      if (!held && this.item === item) this.lost();
    } catch {
      // whatever is wrong will be said when something is sent
    }
  }

  /* The item was sent: no draft of it is saved any more. The browser forgets it once the server has it. */
  close() {
    this.open(null);
  }

  forget(assignment) {
    keep(PREFIX + assignment, null);
  }

  forgetOld() {
    for (const name of keptNames())
      if (name.startsWith(PREFIX) && !((keptJson(name)?.at ?? 0) > Date.now() - OLD_MS)) keep(name, null);
  }
}
