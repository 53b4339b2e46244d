/* Elements made by hand. Text always becomes a text node; the only HTML taken is what the server has made safe. */

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "on") for (const [event, handle] of Object.entries(value)) made.addEventListener(event, handle);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  put(made, ...children);
  return made;
}

export function put(parent, ...children) {
  parent.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, ...children);
}

const ICONS = {
  book: "M4 5.5A2.5 2.5 0 0 1 6.5 3H20v15H6.5A2.5 2.5 0 0 0 4 20.5zm0 15A2.5 2.5 0 0 0 6.5 21H20v-3",
  clock: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zm0 4.5V12l3 2",
  raw: "M8.5 7 3.5 12l5 5m7-10 5 5-5 5",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zm0-5v1.5m0 15V21m9-9h-1.5m-15 0H3m15.4-6.4-1 1M6.6 17.4l-1 1m12.8 0-1-1M6.6 6.6l-1-1",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  keys: "M3 6.5h18v11H3zm3.5 3.5h.01m3.5 0h.01m3.5 0h.01m3.5 0h.01M7.5 14h9",
  flag: "M5.5 21V4m0 0h12l-2.5 4.25L17.5 12.5h-12",
  pen: "m4 20 .8-4L16.5 4.3a1.6 1.6 0 0 1 2.3 0l.9.9a1.6 1.6 0 0 1 0 2.3L8 19.2z",
  up: "M7 10.5v9H4v-9zm0 0 4-7.5a2 2 0 0 1 2 2V9h5a2 2 0 0 1 2 2.4l-1.3 6.5a2 2 0 0 1-2 1.6H7",
  down: "M7 13.5v-9H4v9zm0 0 4 7.5a2 2 0 0 0 2-2V15h5a2 2 0 0 0 2-2.4l-1.3-6.5a2 2 0 0 0-2-1.6H7",
  close: "m6 6 12 12M18 6 6 18",
  person: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20.5a7.5 7.5 0 0 1 15 0",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/* A key as a hint beside what it does; told to nobody who listens, since the list of keys says it. */
export function hint(key) {
  return el("kbd", { "aria-hidden": "true" }, key);
}

let made = 0;
export function newId(of) {
  made += 1;
  return `${of}-${made}`;
}

/* For idempotency keys: random also where the page is not served securely. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
