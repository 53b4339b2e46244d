"""One root error and a few kinds under it. What they say is for the person at the terminal.

A message names what is wrong, where, the rule it breaks and what to do; the command line prints it
without a traceback and exits with `EXIT_CODE`.
"""

EXIT_CODE = 2


class RlhfError(Exception):
    """Root of every error that this project raises on purpose."""


class ConfigError(RlhfError):
    """An option is unknown, has a wrong value, or contradicts another."""


class DataError(RlhfError):
    """A dataset cannot be read, or holds nothing that can be used."""


class ModelError(RlhfError):
    """A model or tokenizer cannot be loaded, or is of the wrong kind."""


class InputError(RlhfError):
    """A stage's input is missing, unfinished, changed, or of the wrong kind."""


class RunError(RlhfError):
    """A run folder cannot be opened, written or finished (locked, disk full)."""


class TrainingError(RlhfError):
    """Training cannot go on (not a number, out of memory at the smallest microbatch)."""
