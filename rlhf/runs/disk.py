"""Writing files and folders that are whole or absent, and saying clearly when the disk is full.

Whatever is final gets written under a temporary name in the same folder (`.NAME.tmp`), synced to the
disk, renamed, and the folder synced: a kill at any moment leaves the old file, or the new one.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from rlhf.errors import RunError

_FULL = {errno.ENOSPC: "no space left", errno.EDQUOT: "quota used up", errno.EFBIG: "file size limit reached"}
# Libraries that write for us report the same as text: safetensors "(os error 28)", torch its own words.
_FULL_WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|os error (28|122|27)\b"
    r"|PytorchStreamWriter failed writing|unexpected pos \d+ vs \d+",
)


@contextmanager
def disk_errors(path: Path | str, *, needs: int | None = None) -> Generator[None]:
    """Turn a full disk into a `RunError` that says where, how much is free, and what to do.

    Args:
        path: what is being written, for the message.
        needs: bytes that it will take, where that is known.

    Raises:
        RunError: the disk is full, a quota is used up, or a file-size limit was reached (ENOSPC, EDQUOT,
            EFBIG, or the words that safetensors and torch use for them).
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        reason = _full_reason(error)
        if reason is None:
            raise
        raise RunError(_full_message(Path(path), reason, needs)) from error


def write_atomic(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file whole or not at all, and on the disk when this returns.

    Raises:
        RunError: the disk is full; what stood there before is still there.
    """
    chunks = (content,) if isinstance(content, bytes) else content
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with disk_errors(path):
            with open(temporary, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_folder(target: Path, write: Callable[[Path], object], *, needs: int | None = None) -> None:
    """Make a folder whole or not at all: `write` fills a temporary one that then takes its place.

    Raises:
        RunError: the disk is full; what stood there before is still there.
        ValueError: `write` left the folder empty.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    previous = target.with_name(f".{target.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with disk_errors(target, needs=needs):
            temporary.mkdir()
            write(temporary)
            if not any(temporary.iterdir()):
                raise ValueError(f"nothing was written for {target}")
            sync_tree(temporary)
            if target.exists():
                remove(previous)
                os.rename(target, previous)
            os.rename(temporary, target)
            sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if previous.exists() and not target.exists():
            os.rename(previous, target)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def settle(folder: Path) -> None:
    """Put right what a killed process left directly in a folder: `.X.old` comes back where X is missing,
    `.X.tmp` goes."""
    for previous in folder.glob(".*.old"):
        target = previous.with_name(previous.name.removeprefix(".").removesuffix(".old"))
        if target.exists():
            remove(previous)
        else:
            os.rename(previous, target)
    for temporary in folder.glob(".*.tmp"):
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing where nothing is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync_tree(folder: Path) -> None:
    """Sync every file and folder below, then the folder itself."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(parent, name))
        sync_folder(Path(parent))


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until a folder's names are on the disk."""
    sync_file(path)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, in order of name, hidden ones left out."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def size_of(folder: Path) -> int:
    """Bytes that the files below a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def human_size(size: float) -> str:
    """`1234567` as `1.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _full_reason(error: BaseException | None) -> str | None:
    """Why the disk counts as full, looking through the chain of causes; None where it is another error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in _FULL:
            return _FULL[error.errno]
        if not isinstance(error, OSError) and _FULL_WORDS.search(str(error)):
            return "no space left, or a limit reached"
        error = error.__cause__ or error.__context__
    return None


def _full_message(path: Path, reason: str, needs: int | None) -> str:
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    free = human_size(shutil.disk_usage(place).free)
    wanted = f"free {human_size(needs)}" if needs else "free some space"
    return (
        f"disk full while writing {path} ({reason}; {free} free there).\n"
        f"{wanted[0].upper()}{wanted[1:]}, then run the same command again; nothing finished was lost."
    )
