/* Light and dark: what the system has, until the person chooses. Gradio's page goes along. */

import { keep, kept } from "./words.js";

const NAME = "feedback_shade";
const system = matchMedia("(prefers-color-scheme: dark)");

export const isDark = () => (kept(NAME) ?? (system.matches ? "dark" : "light")) === "dark";

export function showShade() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  document.body.classList.toggle("dark", isDark());
}

export function switchShade() {
  const wanted = isDark() ? "light" : "dark";
  keep(NAME, wanted === (system.matches ? "dark" : "light") ? null : wanted); // as the system has it: follow it again
  showShade();
}

export function followSystem(changed) {
  system.addEventListener("change", () => {
    showShade();
    changed();
  });
}
