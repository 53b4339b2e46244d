/* The rater's page: from an item to what is given of it and on to the next. */

import { ActiveTime } from "./active.js";
import { Offline, Refused, get, post } from "./api.js";
import { conversationPlace, goOn, resumed } from "./conversation.js";
import { el, fill, randomKey } from "./dom.js";
import { Drafts } from "./drafts.js";
import { dock, header, messages } from "./frame.js";
import { described } from "./given.js";
import { judging } from "./judging.js";
import { onKey } from "./keys.js";
import { Outbox } from "./outbox.js";
import { guidelinesPanel, keysPanel, pastPanel, skipPanel } from "./panels.js";
import { campaignChoice, ending } from "./places.js";
import { followSystem, showShade, switchShade } from "./shade.js";
import { keep, kept, say, speak, startWords, tag } from "./words.js";

const RAW = "feedback_raw";
const SHOWN_SOON_MS = 400;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function start(host) {
  const within = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const root = el("div", { class: "sheet" });
  const style = el("link", { rel: "stylesheet", href: "/static/page.css" });
  fill(within, style, root);
  document.head.append(style.cloneNode()); // for the colours, and the frame around
  showShade();
  await Promise.all([patiently(startWords, () => {}), new Promise((resolve) => {
    style.addEventListener("load", resolve);
    style.addEventListener("error", resolve);
  })]);
  const page = new Page(root);
  await page.begin();
  return page;
}

/* Until the server is reached; `told` with each failure. */
async function patiently(ask, told) {
  for (let wait = 1000; ; wait = Math.min(2 * wait, 20000)) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Refused) throw error;
      told(error);
      await pause(wait);
    }
  }
}

class Page {
  constructor(root) {
    this.root = root;
    this.raw = kept(RAW) === "1";
    this.messages = messages();
    this.main = el("main", { class: "main", tabIndex: -1 });
    this.active = new ActiveTime();
    this.drafts = new Drafts(this.active, () => this.messages.keep(say("told.lost_lease")));
    this.item = null;
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
      if (!this.root.contains(this.main)) fill(this.root, this.messages.element, this.main);
      this.messages.keep(say("told.offline_load"));
    });
    if (waited) this.messages.clear();
    return answer;
  }

  async open(campaign) {
    this.campaign = await this.ask(() => get(`campaigns/${campaign}`));
    const address = new URL(location.href);
    address.searchParams.set("campaign", campaign);
    history.replaceState(null, "", address);
    document.title = `${this.campaign.name} · ${say("page.title")}`;
    await this.load();
  }

  async load() {
    this.show(await this.ask(() => get(`campaigns/${this.campaign.id}/task`)));
  }

  /* Shows what the server gave: an item, or why there is none. */
  async show(turn, { quiet = false } = {}) {
    this.turn = turn;
    this.correcting = null;
    const { task } = turn;
    if (task) {
      const begun = this.drafts.begin(task);
      this.take(task, begun);
      this.draw();
      if (!quiet && Object.keys(begun).length) this.messages.pass(say("told.draft"));
      if (task.guideline_version > this.campaign.guidelines.version) await this.renewGuidelines();
    } else if (this.campaign.form.kind === "chat" && turn.state === "open") {
      const said = this.said ?? (await this.ask(() => resumed(this.campaign.id)));
      this.talk(said);
    } else {
      this.drafts.close();
      this.item = null;
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
    const { root, turn, campaign } = this;
    if (!this.me) return;
    root.lang = tag();
    const parts = this.content();
    fill(this.main, parts.body);
    this.dock = this.item ? dock(this) : null;
    fill(root, header(this), this.messages.element, this.main, this.dock?.element);
    this.dock?.refresh();
    root.classList.toggle("judging", this.item !== null);
    if (turn && campaign) this.messages.hear(this.item ? `${say("told.next")} ${say("progress.of", { done: turn.progress.done, all: turn.progress.done + turn.progress.left })}` : "");
    parts.focus();
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
    if (!this.correcting) this.drafts.change(this.given);
  }

  async send() {
    if (this.busy || !this.item) return;
    const lacking = this.item.missing();
    if (lacking) {
      this.dock.tell(lacking.words);
      this.item.guide(lacking.where);
      return;
    }
    const { task, correcting } = this;
    const given = this.item.toSend();
    const words = described(task.form, given);
    const body = { given, key: randomKey(), active_s: this.active.seconds };
    const reply = await this.deliver(`assignments/${task.assignment}/${correcting ? "revise" : "judge"}`, body);
    if (!reply) return;
    this.drafts.forget(task.assignment);
    if (correcting) {
      this.messages.pass(say("told.corrected"));
      await this.load();
      return;
    }
    if (task.form.kind === "chat") this.said = goOn(this.campaign.id, task, given);
    await this.following(task, reply.next, say("told.kept", { said: words }));
  }

  async following(task, next, words) {
    this.last = task.assignment;
    scrollTo({ top: 0, behavior: "instant" });
    await this.show(next, { quiet: true });
    this.messages.pass(words, { words: say("action.undo"), act: () => this.undo(), key: "U" });
  }

  /* Sends by way of the outbox; null where the server said no, which the page then shows. */
  async deliver(path, body) {
    this.busy = true;
    const soon = setTimeout(() => this.dock?.sending(true), SHOWN_SOON_MS);
    this.drafts.close();
    try {
      return await this.outbox.send(path, body);
    } catch (error) {
      if (this.away(error)) return null;
      this.messages.keep(this.words(error));
      if (error.kind === "invalid") this.drafts.open({ assignment: this.task.assignment, seconds: body.active_s });
      else await this.load();
      return null;
    } finally {
      clearTimeout(soon);
      this.busy = false;
      this.dock?.sending(false);
    }
  }

  openSkip() {
    if (this.busy || !this.item || this.correcting) return;
    skipPanel(this.root, async (reason, text) => {
      const { task } = this;
      const reply = await this.deliver(`assignments/${task.assignment}/skip`, { reason, text, key: randomKey() });
      if (reply) await this.following(task, reply.next, say("told.skipped"));
    });
  }

  async undo() {
    if (this.busy || this.correcting || !this.campaign) return;
    this.busy = true;
    try {
      await this.drafts.save();
      const target = this.undoing?.assignment ?? this.last ?? (await get(`campaigns/${this.campaign.id}/past?limit=1`))[0]?.assignment;
      if (!target) {
        this.messages.pass(say("told.nothing_to_undo"));
        return;
      }
      this.undoing ??= { assignment: target, key: randomKey() }; // the same click again, if this one gets lost
      const { task } = await post(`assignments/${target}/undo`, { key: this.undoing.key });
      this.undoing = this.last = null;
      const { done, left } = this.turn.progress;
      await this.show({ ...this.turn, task, state: "open", progress: { done: done - 1, left: left + 1 } }, { quiet: true });
      this.messages.pass(say("told.undone"));
    } catch (error) {
      if (error instanceof Refused) this.undoing = this.last = null;
      if (!this.away(error)) this.messages.keep(this.words(error));
    } finally {
      this.busy = false;
    }
  }

  async correct({ assignment }) {
    try {
      await this.drafts.save();
      const { task, given, action } = await get(`assignments/${assignment}`);
      this.drafts.open(null);
      this.correcting = { task };
      this.take(task, action === "judge" ? given : {});
      scrollTo({ top: 0, behavior: "instant" });
      this.draw();
    } catch (error) {
      if (!this.away(error)) this.messages.keep(this.words(error));
    }
  }

  leaveCorrection() {
    return this.load();
  }

  async openPast() {
    try {
      const past = await get(`campaigns/${this.campaign.id}/past?limit=30`);
      pastPanel(this.root, this.campaign.form, past, (one) => this.correct(one));
    } catch (error) {
      if (!this.away(error)) this.messages.keep(this.words(error));
    }
  }

  openGuidelines() {
    guidelinesPanel(this.root, this.campaign);
  }

  async renewGuidelines() {
    const before = this.campaign.guidelines.version;
    this.campaign = await this.ask(() => get(`campaigns/${this.campaign.id}`));
    if (this.campaign.guidelines.version > before)
      this.messages.keep(say("guidelines.changed"), { words: say("guidelines.read"), act: () => this.openGuidelines() });
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
      this.messages.keep(say("told.offline_load"));
    }
  }

  switchShade() {
    switchShade();
    this.root.querySelector("dialog")?.close();
    this.draw();
  }

  async signOut() {
    await post("sign-out", {});
    location.assign("/sign-in");
  }

  key(key) {
    if (!this.me) return false;
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
    } else if (error && !this.away(error)) this.messages.keep(this.words(error));
  }

  /* Whether the person has to sign in again; what was given stays in the browser. */
  away(error) {
    if (error.kind !== "signed-out") return false;
    const back = encodeURIComponent(location.pathname + location.search);
    fill(this.root, el("div", { class: "plain-place" }, el("p", {}, say("told.signed_out")),
      el("a", { class: "button", href: `/sign-in?next=${back}` }, say("told.sign_in"))));
    return true;
  }

  words(error) {
    const message = error.message;
    if (error instanceof Offline) return error.kind === "too-many" ? say("error.too-many") : say("told.offline_load");
    const key = `error.${error.kind}`;
    const words = say(key, { message });
    return words === key ? say("error.unknown", { message }) : words;
  }

  /* Nothing can be shown, such as for a campaign that is not there. */
  broken(error) {
    this.campaign = this.turn = this.item = this.talking = null;
    if (!(error instanceof Refused)) throw error;
    if (this.me && this.campaigns) this.draw();
    this.messages.keep(this.words(error));
  }
}
