"""The other library's environment, made once in the cache and kept."""

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("trl.txt")


def trl_python(cache: Path, requirements: Path = REQUIREMENTS) -> Path:
    """The interpreter of an environment with exactly these requirements; installs them where it is absent.

    One that was interrupted half-way is made anew: `.ready` is written last.

    Raises:
        CalledProcessError: pip could not install them; it has said why.
    """
    key = f"{platform.python_version()}\n{requirements.read_text(encoding='utf-8')}"
    folder = cache / f"trl-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if (folder / ".ready").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"making an environment of {requirements.name} in {folder}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(requirements)], check=True)
    (folder / ".ready").touch()
    return python
