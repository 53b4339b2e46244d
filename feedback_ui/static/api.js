/* The server's JSON. What may pass by itself (no network, a server that starts anew) is `Offline`. */

const PATIENCE_MS = 20000;

export class Refused extends Error {
  constructor(kind, message, status) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

export class Offline extends Error {
  constructor(message, kind = "offline") {
    super(message);
    this.kind = kind;
  }
}

export const get = (path) => request("GET", path);
export const post = (path, body, options = {}) => request("POST", path, body, options);

async function request(method, path, body, { patience = PATIENCE_MS, keepalive = false } = {}) {
  const options = { method, credentials: "same-origin", headers: { Accept: "application/json" }, keepalive };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response, told;
  try {
    options.signal = AbortSignal.timeout(patience);
    response = await fetch(`/api/${path}`, options);
    told = await response.json();
  } catch (error) {
    if (response && !response.ok) throw new Offline(`${response.status}`);
    throw new Offline(String(error));
  }
  if (response.ok) return told;
  const { kind = "unknown", message = String(response.status) } = told?.error ?? {};
  if (response.status >= 500 || response.status === 429) throw new Offline(message, kind);
  throw new Refused(kind, message, response.status);
}
