"""The schema's history, applied by `feedback_ui.migrate`."""
