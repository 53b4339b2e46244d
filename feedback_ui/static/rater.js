/* The rater's page: put into its place in Gradio's page, in a tree of its own that no style of Gradio reaches. */

import { el, fill } from "./dom.js";
import { Page } from "./page.js";
import { patiently } from "./patience.js";
import { showShade } from "./shade.js";
import { startWords } from "./words.js";

export async function start(host) {
  const within = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const root = el("div", { class: "sheet" });
  const style = el("link", { rel: "stylesheet", href: "/static/page.css" });
  fill(within, style, root);
  document.head.append(style.cloneNode()); // for the colours, and the frame around
  for (let around = host; around; around = around.parentElement) around.classList.add("around-rater");
  showShade();
  await Promise.all([patiently(startWords, () => {}), new Promise((resolve) => {
    style.addEventListener("load", resolve);
    style.addEventListener("error", resolve);
  })]);
  const page = new Page(root);
  await page.begin();
  return page;
}
