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

  /* What was begun of an item, or of the correction of a revision of its judgement: the later of what the browser
     and the server have. A draft of the server without a time is of an undo or a late answer, and newer than what
     the browser has, unless that was begun from it. */
  found(task, corrects = null) {
    const kept = keptJson(PREFIX + task.assignment);
    const own = (kept?.corrects ?? null) === corrects ? kept : null;
    const theirs = (task.draft?._corrects ?? null) === corrects ? task.draft : null;
    const from = theirs && theirs._at === undefined ? JSON.stringify(theirs) : null;
    const at = theirs ? (theirs._at ?? Infinity) : -1;
    const isOwn = own && (own.at >= at || (from !== null && own.from === from));
    const given = isOwn ? own.given : theirs;
    return {
      from,
      given: Object.fromEntries(Object.entries(given ?? {}).filter(([name]) => !name.startsWith("_"))),
      seconds: own?.seconds ?? 0,
    };
  }

  /* The same, the item in hand from now on. */
  begin(task, corrects = null) {
    const { given, seconds, from } = this.found(task, corrects);
    this.open({ assignment: task.assignment, seconds, corrects, from });
    return given;
  }

  open(item) {
    this.item = item;
    this.active.begin(item?.seconds ?? 0);
    clearTimeout(this.timer);
    this.unsaved = null;
  }

  change(given) {
    if (!this.item) return;
    const held = cleaned(given);
    const at = Date.now();
    const { assignment, corrects, from } = this.item;
    this.unsaved = { ...held, _at: at, ...(corrects === null ? {} : { _corrects: corrects }) };
    keep(PREFIX + assignment, JSON.stringify({ given: held, at, corrects, from, seconds: this.active.seconds }));
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
      if (!held && this.item === item && item.corrects === null) this.lost();
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
    if (item.corrects !== null) return; // what is judged nobody takes away
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

  /* The correction in hand is given up, here and on the server. */
  async discard() {
    const { item } = this;
    if (!item) return;
    this.close();
    this.forget(item.assignment);
    try {
      await post(`assignments/${item.assignment}/draft`, { draft: {} });
    } catch {
      // it is offered as what was begun when this judgement is opened again
    }
  }

  forgetOld() {
    for (const name of keptNames())
      if (name.startsWith(PREFIX) && !((keptJson(name)?.at ?? 0) > Date.now() - OLD_MS)) keep(name, null);
  }
}
