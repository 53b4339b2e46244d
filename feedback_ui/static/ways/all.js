/* The ways of giving feedback by their kind (feedback_ui/form.py). */

import { compare } from "./compare.js";
import { rank } from "./rank.js";
import { rate } from "./rate.js";
import { score, thumb } from "./single.js";
import { write } from "./write.js";

export const WAYS = { compare, chat: compare, rank, rate, score, thumb, write };
