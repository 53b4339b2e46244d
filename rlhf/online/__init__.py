"""The online loop: which pairs people are asked about, what is promoted, and when it ends."""
