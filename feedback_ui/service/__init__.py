"""What people do with the store: each function takes the database and an actor, and authorises."""

from feedback_ui.service.snapshot import snapshot

__all__ = ["snapshot"]
