"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const language = () => root.dataset.lang;
  root.classList.add("js");

  /* language: what the address says, else what the browser prefers */
  const speak = (wanted) => {
    root.dataset.lang = wanted;
    root.lang = wanted === "zh" ? "zh-Hans" : "en";
    for (const one of all("[data-en]")) {
      const said = one.dataset[wanted];
      if (one.hasAttribute("aria-label")) one.setAttribute("aria-label", said);
      else if (one.tagName === "OPTION") one.textContent = said;
    }
    for (const one of all("button[data-speak]")) one.setAttribute("aria-pressed", one.dataset.speak === wanted);
  };
  const named = () => /^#(en|zh)$/.exec(location.hash)?.[1];
  speak(named() ?? ((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en"));
  addEventListener("hashchange", () => { const wanted = named(); if (wanted) speak(wanted); });
  for (const one of all("button[data-speak]")) one.addEventListener("click", () => speak(one.dataset.speak));

  /* light and dark */
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const shade = document.getElementById("shade");
  const shown = () => shade.setAttribute("aria-pressed", dark());
  shade.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; shown(); });
  shown();

  /* one tip for charts and tokens */
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip"; tip.setAttribute("role", "status"); tip.hidden = true;
  let marked = null;
  const show = (target, words) => {
    marked?.classList.remove("near");
    marked = target;
    target.classList.add("near");
    tip.textContent = words; tip.hidden = false;
    const at = target.getBoundingClientRect();
    const left = Math.min(Math.max(at.left + at.width / 2 - tip.offsetWidth / 2, 6), root.clientWidth - tip.offsetWidth - 6);
    const above = at.top > tip.offsetHeight + 12;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${scrollY + (above ? at.top - tip.offsetHeight - 8 : at.bottom + 8)}px`;
  };
  const hide = () => { tip.hidden = true; marked?.classList.remove("near"); marked = null; };
  const leave = (event) => { if (event.pointerType === "mouse") hide(); };  /* a finger lifts at once */
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("pointerdown", (event) => { if (!event.target.closest("svg.chart, .tokens")) hide(); });
  const walk = (event, items, pick) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !items.length) return;
    event.preventDefault();
    const from = items.indexOf(marked);
    pick(items[from < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(Math.max(from + step, 0), items.length - 1)]);
  };

  /* charts: the point nearest to the pointer, or the next one by the arrow keys */
  for (const svg of all("svg.chart")) {
    const points = all(".pt", svg);
    for (const point of points) {
      const title = point.querySelector("title");
      point.said = title.textContent;
      title.remove();
    }
    const pick = (point) => {
      const name = point.dataset[language()] || point.parentNode.dataset[language()];
      const axis = language() === "zh" ? svg.dataset.axisZh : svg.dataset.axisEn;
      show(point, `${name ? `${name}\n` : ""}${axis} ${point.said}`);
    };
    const near = (event) => {
      let best = null, least = 60 ** 2;
      for (const point of points) {
        const at = point.getBoundingClientRect();
        const far = (at.left + at.width / 2 - event.clientX) ** 2 + ((at.top + at.height / 2 - event.clientY) / 3) ** 2;
        if (far < least) { best = point; least = far; }
      }
      if (best) pick(best); else hide();
    };
    svg.addEventListener("pointermove", near);
    svg.addEventListener("pointerdown", near);
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => walk(event, points, pick));
  }

  /* the inspector: tokens coloured by the measure that is chosen */
  const measures = all("[data-measure]");
  const names = () => measures.map((one) => one.dataset[language()]);
  let measure = 0;
  const numbers = (token) => token.said.split(" ").map((one) => Number(one.replace("\u2212", "-")));
  for (const row of all(".tokens")) {
    const tokens = all("i", row);
    for (const token of tokens) { token.said = token.title; token.removeAttribute("title"); }
    const pick = (token) => {
      const shown = token.said.split(" ");
      show(token, names().map((name, i) => `${name} ${shown[i]}`).join("\n"));
    };
    const over = (event) => { if (event.target.said !== undefined) pick(event.target); };
    row.addEventListener("pointerover", over);
    row.addEventListener("pointerdown", over);
    row.addEventListener("pointerleave", leave);
    row.addEventListener("blur", hide);
    row.addEventListener("keydown", (event) => walk(event, tokens, pick));
  }
  const colour = (chosen) => {
    measure = chosen;
    const full = Number(measures[chosen].dataset.full);
    for (const token of all(".tokens i")) {
      const level = Math.max(-4, Math.min(4, Math.round(numbers(token)[chosen] / full * 4)));
      token.className = `k${level}`;
    }
    measures.forEach((one, i) => one.setAttribute("aria-pressed", i === chosen));
    for (const one of all("[data-legend]")) one.hidden = one.dataset.legend !== measures[chosen].dataset.measure;
  };
  measures.forEach((one, i) => one.addEventListener("click", () => colour(i)));
  if (measures.length) colour(0);

  /* samples: filters, and a few at a time */
  const list = document.getElementById("sample-list");
  if (list) {
    const folded = list.querySelector("details");
    if (folded) folded.replaceWith(...folded.querySelectorAll(".sample"));
    const samples = all(".sample", list), filters = all("[data-filter]");
    const more = document.getElementById("more"), count = document.getElementById("count");
    const few = Number(list.dataset.few);
    let most = few;
    const sift = () => {
      let fit = 0;
      for (const sample of samples) {
        const fits = filters.every((one) => !one.value || sample.dataset[one.dataset.filter] === one.value);
        if (fits) fit += 1;
        sample.hidden = !fits || fit > most;
      }
      more.hidden = fit <= most;
      count.textContent = `${Math.min(fit, most)} / ${fit}`;
    };
    for (const one of filters) one.addEventListener("change", () => { most = few; sift(); });
    more.addEventListener("click", () => { most += 2 * few; sift(); });
    addEventListener("beforeprint", () => { most = Infinity; sift(); });
    sift();
  }
})();
