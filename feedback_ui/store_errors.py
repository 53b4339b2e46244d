"""What a database's error means, and what to do about it."""

from feedback_ui.errors import Phrase, StoreError

# (what the driver says, in lower case; what it means and what to do)
_SQLITE = (
    (("readonly", "read-only"), "is read-only; give this account write access to the file and its folder"),
    (
        ("full", "disk i/o error"),
        "cannot grow: the disk is full, or a size limit is reached. Free some space and do it again; what "
        "was saved before is safe",
    ),
    (("unable to open",), "cannot be opened; check that the folder is there and may be written"),
    (
        ("locked", "busy"),
        "has been locked by another program for too long; close what holds it (a backup, a shell of sqlite3)",
    ),
    (("not a database", "malformed"), "is no SQLite database, or is damaged; restore it from a backup"),
)
_POSTGRES = (
    (
        ("password authentication", "authentication failed", "no password supplied"),
        "refuses this user or password; check the user in --db and the password (PGPASSWORD)",
    ),
    (("does not exist",), "is not there; make it with createdb, and check the names in --db"),
    (("permission denied",), "does not let this user do this; grant it the rights on the database's schema"),
    (
        ("read-only", "recovery mode", "starting up", "shutting down"),
        "takes no writes now (a standby, or starting up); try again, or name the primary server in --db",
    ),
    (("no space left", "could not extend"), "cannot grow: its disk is full. Free some space on the server"),
    (("lock timeout",), "kept a row locked for too long; look for a transaction that was left open"),
    (("too many",), "has no connection to spare; raise max_connections on the server"),
    (
        ("could not connect", "connection refused", "connection failed", "could not translate", "timeout"),
        "cannot be reached; check that the server runs and that host and port in --db are right",
    ),
    (
        ("terminat", "closed", "lost"),
        "broke the connection off (was it restarted?); do it again, nothing that was acknowledged is lost",
    ),
)


def explain(error: BaseException, name: str, *, is_sqlite: bool) -> StoreError:
    """A `StoreError` that says what is wrong with the store at `name` and what to do."""
    said = str(getattr(error, "orig", None) or error).strip()
    first = said.splitlines()[0] if said else type(error).__name__
    for words, meaning in _SQLITE if is_sqlite else _POSTGRES:
        if any(word in said.lower() for word in words):
            meant = Phrase(meaning)
            return StoreError("the database {name} {meaning} ({said})", name=name, meaning=meant, said=first)
    return StoreError("the database {name} cannot be used: {said}", name=name, said=first)
