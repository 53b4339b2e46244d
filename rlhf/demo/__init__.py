"""The embedded world: instructions made on the spot, answers by personas, a gold rater, raters who err.

Nothing is downloaded, and everything is fixed by seeds. Import its modules: `world`, `gold` and `raters` are
free of torch; `tokenizer` and `model` are not.
"""
