/* The page: from an item to what is given of it and on to the next. */

import { openSkip, send, undo } from "./acts.js";
import { ActiveTime } from "./active.js";
import { Offline, Refused, get, post } from "./api.js";
import { conversationPlace, resumed } from "./conversation.js";
import { correct, correctAgain, endCorrection, underWay } from "./corrections.js";
import { el, fill } from "./dom.js";
import { Drafts } from "./drafts.js";
import { dock, header, messages, progressWords } from "./frame.js";
import { openGuidelines, pointAtGuidelines } from "./guidelines.js";
import { judging } from "./judging.js";
import { onKey } from "./keys.js";
import { Outbox } from "./outbox.js";
import { keysPanel, pastPanel, usesKeys } from "./panels.js";
import { campaignChoice, ending } from "./places.js";
import { pause, patiently } from "./patience.js";
import { problemWords } from "./problems.js";
import { followSystem, switchShade } from "./shade.js";
import { keep, kept, say, speak, tag } from "./words.js";

const RAW = "feedback_raw";
export class Page {
  constructor(root) {
    this.root = root;
    this.raw = kept(RAW) === "1";
    this.messages = messages();
    this.main = el("main", { class: "main", tabIndex: -1 });
    this.above = el("div");
    this.below = el("div");
    // the lines that say what happened stay where they are, or who listens would not hear them
    fill(root, this.above, this.messages.above, this.main, el("div", { class: "bottom" }, this.messages.below, this.below));
    this.active = new ActiveTime();
    this.drafts = new Drafts(this.active, () => this.messages.keep(say("told.lost_lease")));
    this.item = null;
    // after a click with the mouse, Enter means the item and not the button once more
    root.addEventListener("click", (event) => event.pointerType === "mouse" && event.target.closest("button")?.blur(), true);
    followSystem(() => this.draw());
    onKey((key) => this.key(key), () => this.main.focus({ preventScroll: true }));
  }

  async begin() {
    try {
      this.me = await this.ask(() => get("me"));
      this.outbox = new Outbox(this.me.name, (error, recovered) => this.sent(error, recovered));
      this.campaigns = await this.ask(() => get("campaigns"));
      while (this.outbox.waiting) {
        await this.outbox.flush();
        if (this.gone) return;
        if (this.outbox.waiting) await pause(1000);
      }
      const named = new URLSearchParams(location.search).get("campaign");
      if (named) await this.open(named);
      else if (this.campaigns.length === 1) await this.open(this.campaigns[0].id);
      else this.choose();
    } catch (error) {
      if (!this.away(error)) this.broken(error);
    }
  }

  /* Asks the server for something to show, and waits where there is no connection. */
  async ask(question) {
    let waited = false;
    const answer = await patiently(question, () => {
      waited = true;
      this.messages.keep(say("told.offline_load"));
    });
    if (waited) this.messages.clear();
    return answer;
  }

  async open(campaign) {
    this.campaign = await this.ask(() => get(`campaigns/${campaign}`));
    this.last = this.said = null;
    const address = new URL(location.href);
    address.searchParams.set("campaign", campaign);
    history.replaceState(null, "", address);
    document.title = `${this.campaign.name} · ${say("page.title")}`;
    const begun = underWay(campaign);
    await this.load();
    if (begun) await correctAgain(this, begun);
  }

  load = async () => this.show(await this.ask(() => get(`campaigns/${this.campaign.id}/task`)));

  /* Shows what the server gave: an item, or why there is none. */
  async show(turn, { quiet = false } = {}) {
    this.turn = turn;
    this.correcting = null;
    endCorrection(this.campaign.id);
    const { task } = turn;
    if (task) {
      const begun = this.drafts.begin(task);
      this.take(task, begun);
      this.draw();
      if (!quiet && Object.keys(begun).length) this.messages.pass(say("told.draft"));
      await pointAtGuidelines(this, task);
    } else if (this.campaign.form.kind === "chat" && turn.state === "open") {
      this.said ??= await this.ask(() => resumed(this.campaign.id));
      this.talk(this.said);
    } else {
      this.drafts.close();
      this.item = this.talking = null;
      this.draw();
    }
  }

  take(task, given) {
    this.task = task;
    this.given = given;
    this.talking = null;
  }

  /* A conversation waits for the rater's message. */
  talk(said) {
    this.drafts.close();
    this.item = null;
    this.said = said;
    this.talking = { said };
    this.draw();
  }

  choose() {
    this.drafts.close();
    this.campaign = this.turn = this.item = this.talking = null;
    this.draw();
  }

  /* The whole page anew, as after another language: what was given is in `given`. */
  draw() {
    if (!this.campaigns || (this.campaign && !this.turn)) return;
    this.root.lang = tag();
    const { body, focus } = this.content();
    fill(this.main, body);
    this.dock = this.item ? dock(this) : null;
    fill(this.above, header(this));
    fill(this.below, this.dock?.element);
    this.dock?.refresh();
    if (this.pending) this.sending(true);
    if (this.item) this.messages.hear(`${say("told.next")} ${progressWords(this.turn.progress)}`);
    focus();
  }

  content() {
    const focusOn = (element) => () => element?.focus({ preventScroll: true });
    if (!this.campaign) {
      const body = campaignChoice(this.campaigns, (one) => this.open(one));
      return { body, focus: focusOn(body.querySelector("h2")) };
    }
    if (this.talking) return conversationPlace(this, this.talking.said);
    const { task } = this.correcting ?? this.turn;
    if (!task) {
      const body = ending(this.turn, this.campaigns.length > 1 ? () => this.choose() : null);
      return { body, focus: focusOn(body.querySelector("h2")) };
    }
    this.item = judging({
      task: this.task,
      given: this.given,
      options: { raw: this.raw, language: task.language },
      taps: !this.correcting,
      send: () => this.send(),
      changed: () => this.changed(),
    });
    const above = this.correcting ? say("correct.title") : this.turn.state === "qualifying" ? say("state.qualifying") : null;
    return { body: [above ? el("p", { class: "banner" }, above) : null, ...this.item.body], focus: focusOn(this.item.heading) };
  }

  changed() {
    this.dock?.refresh();
    this.dock?.tell("");
    this.drafts.change(this.given);
  }

  /* Until the server has it, what is given cannot be changed. */
  sending(on) {
    this.pending = on;
    this.main.inert = on;
    this.dock?.sending(on);
  }

  send() {
    return send(this);
  }

  openSkip() {
    openSkip(this);
  }

  undo() {
    return undo(this);
  }

  correct(one) {
    return correct(this, one);
  }

  async openPast() {
    try {
      const past = await get(`campaigns/${this.campaign.id}/past?limit=30`);
      pastPanel(this.root, this.campaign.form, past, (one) => this.correct(one));
    } catch (error) {
      if (!this.away(error)) this.messages.keep(problemWords(error));
    }
  }

  openGuidelines() {
    openGuidelines(this);
  }

  openKeys() {
    keysPanel(this.root, this.item?.keys ?? []);
  }

  switchRaw() {
    this.raw = !this.raw;
    keep(RAW, this.raw ? "1" : null);
    this.draw();
  }

  async switchLanguage(wanted) {
    try {
      await speak(wanted);
      this.root.querySelector("dialog")?.close();
      this.draw();
    } catch {
      this.messages.keep(say("told.try_again"));
    }
  }

  switchShade() {
    switchShade();
    this.root.querySelector("dialog")?.close();
    this.draw();
  }

  async signOut() {
    try {
      await post("sign-out", {});
      location.assign("/sign-in");
    } catch (error) {
      if (!this.away(error)) this.messages.keep(problemWords(error));
    }
  }

  key(key) {
    if (!this.campaigns || this.gone || !usesKeys()) return false;
    const general = {
      "?": () => this.openKeys(),
      g: () => this.campaign && this.openGuidelines(),
      l: () => this.campaign && this.openPast(),
      r: () => this.campaign && this.switchRaw(),
      u: () => this.campaign && this.undo(),
      s: () => this.openSkip(),
      Enter: () => this.send(),
    };
    if (this.item && !this.busy && this.item.key(key)) return true;
    if (!(key in general)) return false;
    general[key]();
    return true;
  }

  /* The outbox tells: a failure, or that all is well again. */
  sent(error, recovered = false) {
    if (recovered) {
      this.messages.clear();
      this.messages.pass(say("told.sent"));
    } else if (error instanceof Offline) {
      const words = say("told.offline", { n: this.outbox.waiting });
      this.messages.keep(this.outbox.keeps ? words : `${words} ${say("told.not_kept")}`,
        { words: say("page.retry"), act: () => this.outbox.flush() });
    } else if (error && !this.away(error)) this.messages.keep(problemWords(error));
  }

  /* Whether the person has to sign in again; what was given stays in the browser. */
  away(error) {
    if (error.kind !== "signed-out") return false;
    this.gone = true;
    const back = encodeURIComponent(location.pathname + location.search);
    fill(this.root, el("div", { class: "plain-place" }, el("p", {}, say("told.signed_out")),
      el("a", { class: "button", href: `/sign-in?next=${back}` }, say("told.sign_in"))));
    return true;
  }

  /* Nothing can be shown, such as for a campaign that is not there. */
  broken(error) {
    if (!(error instanceof Refused)) throw error;
    this.choose();
    this.messages.keep(problemWords(error));
  }
}
