"""The place where people give feedback: its store, its service and its command line (docs/feedback.md)."""
