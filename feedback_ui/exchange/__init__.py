"""Exports of other annotation tools as rows of ours: Argilla's records, Label Studio's tasks."""

from feedback_ui.exchange.convert import TOOLS, Tool, converted, tool_of
from feedback_ui.exchange.layout import Layout

__all__ = ["TOOLS", "Layout", "Tool", "converted", "tool_of"]
