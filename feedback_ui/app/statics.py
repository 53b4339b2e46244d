"""What pages load: our scripts, styles and words, and beside them Gradio's fonts and pictures."""

from importlib.util import find_spec
from pathlib import Path

from starlette.staticfiles import StaticFiles

from feedback_ui.app import pages

_HERE = Path(__file__).parents[1]


def static_files() -> StaticFiles:
    """All that is served below /static; the first folder that has a file gives it."""
    files = StaticFiles(directory=_HERE / "static", check_dir=False)
    gradio = find_spec("gradio")
    assert gradio is not None
    assert gradio.origin is not None
    below = Path(gradio.origin).parent / "templates" / "frontend" / "static"
    files.all_directories += [pages.FOLDER, below]
    return files


def word_files() -> StaticFiles:
    """The interface's words, below /static/words."""
    return StaticFiles(directory=_HERE / "words", check_dir=False)
