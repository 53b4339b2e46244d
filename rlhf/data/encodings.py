"""How the text of a data file is encoded: UTF-8, UTF-16 where it says so, and a clear word on all else."""

from pathlib import Path

from rlhf.errors import DataError

SAMPLE_BYTES = 1 << 16
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def encoding_of(path: Path, sample: bytes) -> str:
    """What to decode a file with; `sample` is its beginning, uncompressed, at most `SAMPLE_BYTES`.

    A few lines that are no UTF-8 are damage and no encoding: they are left to the reader.

    Raises:
        DataError: the file is of another encoding; says which it may be, and how to convert it.
    """
    if sample.startswith(_UTF_16_MARKS):
        return "utf-16"
    if sample.count(0) * 10 > len(sample):
        raise DataError(_advice(path, "UTF-16 without the mark that says so", "UTF-16LE"))
    lines = [line for line in sample.split(b"\n") if line.strip()]
    whole = (
        lines[:-1] if len(sample) == SAMPLE_BYTES else lines
    )  # the last one is cut, perhaps in a character
    foreign = [line for line in whole if not _decodes(line, "utf-8")]
    if len(foreign) * 2 > len(whole):
        if all(_decodes(line, "gb18030") for line in foreign):
            raise DataError(_advice(path, "GBK (GB 18030), or Big5", "GB18030"))
        raise DataError(_advice(path, "Windows-1252 or the like", "WINDOWS-1252"))
    return "utf-8-sig"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _advice(path: Path, guess: str, name: str) -> str:
    unpacked = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    target = unpacked.with_suffix(".utf8" + unpacked.suffix)
    first = f"gunzip -k {path}\n" if unpacked != path else ""
    return (
        f"{path}: is no UTF-8; it may be {guess}. Convert it and name the new file:\n"
        f"{first}iconv -f {name} -t UTF-8 {unpacked} > {target}"
    )
