/* Seconds that a person was at an item: while the page is seen, up to half a minute after the last sign of life.
   The clock is one that nobody sets. */

export const IDLE_MS = 30000;
const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "scroll", "touchstart", "input", "focus"];

export class ActiveTime {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.total = 0;
    this.last = null; // the last sign of life, none while the page is hidden
    for (const sign of SIGNS) addEventListener(sign, () => this.sign(), { capture: true, passive: true });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.sign()));
  }

  begin(seconds = 0) {
    this.total = seconds * 1000;
    this.last = document.hidden ? null : this.now();
  }

  sign() {
    if (document.hidden) return;
    this.count();
    this.last = this.now();
  }

  pause() {
    this.count();
    this.last = null;
  }

  count() {
    if (this.last === null) return;
    const now = this.now();
    const counted = Math.min(now - this.last, IDLE_MS);
    this.total += counted;
    this.last = now - this.last > IDLE_MS ? null : now;
  }

  /* Whether there was a sign of life of late. */
  get here() {
    return this.last !== null && this.now() - this.last <= IDLE_MS;
  }

  get seconds() {
    const open = this.last === null ? 0 : Math.min(this.now() - this.last, IDLE_MS);
    return Math.round((this.total + open) / 100) / 10;
  }
}
