/* Asking again until there is a connection. */

import { Refused } from "./api.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 20000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* The answer to `ask()`, however often it takes; `told` hears of each failure. A Refused is an answer. */
export async function patiently(ask, told) {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Refused) throw error;
      told(error);
      await pause(wait);
    }
  }
}
