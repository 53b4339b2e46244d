"""What the stages say to the person, a line at a time."""

from rich.console import Console

console = Console(stderr=True)


def say(stage: str, text: str) -> None:
    """A line on the console, marked with the stage."""
    console.print(f"{stage}: {text}", markup=False, highlight=False, soft_wrap=True)
