/* The interface's words: the language chosen, else the browser's; kept for the pages of the server too. */

const LANGUAGES = ["en", "zh"];
const NAME = "feedback_language";
let words = {};
let language = "en";

function chosen() {
  const cookie = new RegExp(`(?:^|; )${NAME}=(en|zh)`).exec(document.cookie)?.[1];
  const asked = (navigator.languages ?? [navigator.language ?? ""]).map((one) => one.slice(0, 2).toLowerCase());
  return cookie ?? kept(NAME) ?? asked.find((one) => LANGUAGES.includes(one)) ?? "en";
}

async function load(wanted) {
  const response = await fetch(`/static/words/${wanted}.json`, { signal: AbortSignal.timeout(20000) });
  if (!response.ok) throw new Error(`no words: ${response.status}`);
  words = await response.json();
  language = wanted;
  document.documentElement.lang = tag();
}

export const startWords = async () => {
  const wanted = chosen();
  if (kept(NAME) === wanted) tellServer(wanted); // a browser may forget the one and keep the other
  await load(wanted);
};

/* The server says in this language what goes wrong, and makes the other pages in it. */
function tellServer(wanted) {
  document.cookie = `${NAME}=${wanted}; path=/; max-age=31536000; samesite=lax`;
}

export async function speak(wanted) {
  keep(NAME, wanted);
  tellServer(wanted);
  await load(wanted);
}

export const spoken = () => language;
export const tag = () => (language === "zh" ? "zh-Hans" : "en");

/* One expression in the language of the interface, its {names} filled in. */
export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export const knows = (key) => key in words;
export const number = (value) => value.toLocaleString(tag());

/* What a browser keeps between visits; one that keeps nothing says so by false. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}

export function keptJson(name) {
  try {
    return JSON.parse(kept(name) ?? "null");
  } catch {
    return null; // written by another version of the page, or cut off
  }
}

export const keptNames = () => {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
};
