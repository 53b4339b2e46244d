/* What a rater has given and the server has not yet acknowledged. Kept in the browser, sent in order, again and
   again with the same key until there is an answer, also after a reload. Nothing leaves it without an answer. */

import { Refused, post } from "./api.js";
import { keep, keptJson, kept } from "./words.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 20000;

export class Outbox {
  /* `told` is called whenever something changed: how many wait, and whether the last try failed. */
  constructor(owner, told) {
    this.name = `feedback.outbox.${owner}`;
    this.told = told;
    this.entries = keptJson(this.name) ?? [];
    this.answers = new Map(); // by key: who waits for the answer on this page
    this.failed = false;
    this.keeps = true;
    this.wait = FIRST_WAIT_MS;
    this.busy = false;
    addEventListener("online", () => this.flush());
    addEventListener("beforeunload", (event) => !this.keeps && this.waiting && event.preventDefault());
    addEventListener("storage", (event) => event.key === this.name && this.reread());
  }

  get waiting() {
    return this.entries.length;
  }

  /* The server's answer, however long it takes; a Refused where it says no. */
  send(path, body) {
    return new Promise((resolve, reject) => {
      this.entries.push({ path, body });
      this.answers.set(body.key, { resolve, reject });
      this.save();
      this.flush();
    });
  }

  /* Whether an assignment has something in here that will be sent. */
  holds(assignment) {
    return this.entries.some((entry) => entry.path.includes(assignment));
  }

  async flush() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    try {
      while (this.entries.length) {
        const { path, body } = this.entries[0];
        try {
          this.leave(body.key, "resolve", await post(path, body));
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          if (error.kind === "signed-out") {
            this.told(error); // kept: it is sent once the person is signed in again
            return;
          }
          this.leave(body.key, "reject", error);
        }
        this.wait = FIRST_WAIT_MS;
      }
      const recovered = this.failed;
      this.failed = false;
      if (recovered) this.told(null, true);
    } catch (error) {
      this.failed = true;
      this.timer = setTimeout(() => this.flush(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
      this.told(error);
    } finally {
      this.busy = false;
    }
  }

  leave(key, how, answer) {
    this.entries = this.entries.filter((entry) => entry.body.key !== key);
    this.save();
    const waiting = this.answers.get(key);
    this.answers.delete(key);
    if (waiting) waiting[how](answer);
    else if (how === "reject") this.told(answer);
  }

  save() {
    this.keeps = keep(this.name, this.entries.length ? JSON.stringify(this.entries) : null);
  }

  /* Another window of the same person has sent or added something. */
  reread() {
    const there = kept(this.name) === null ? [] : (keptJson(this.name) ?? []);
    const own = this.entries.filter((entry) => this.answers.has(entry.body.key));
    const keys = new Set(own.map((entry) => entry.body.key));
    this.entries = [...there.filter((entry) => !keys.has(entry.body.key)), ...own];
  }
}
