/* What went wrong, for the person: the server says it in the language of the page. */

import { Offline } from "./api.js";
import { say } from "./words.js";

export function problemWords(error) {
  const { kind, message } = error;
  if (error instanceof Offline) return kind === "too-many" ? say("error.too-many") : say("told.try_again");
  const key = `error.${kind}`;
  const words = say(key, { message });
  return words === key ? say("error.unknown", { message }) : words;
}
