"""A PostgreSQL server of one's own for as long as a test or a measurement lasts."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from feedback_ui.children import ending_with_us

START_S = 300.0
_HOMES = ("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin")


@dataclass
class Server:
    """A running PostgreSQL in a temporary folder, reached by a socket in it."""

    folder: Path
    binaries: Path
    user: str | None
    numbers: Iterator[int] = field(default_factory=count)
    _process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        """Of one of its databases."""
        return f"postgresql+psycopg://tests@/{name}?host={self.folder}"

    def fresh(self, template: str = "template0") -> str:
        """The URL of a new database."""
        name = f"t{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside of a transaction."""
        with psycopg.connect(f"host={self.folder} user=tests dbname={database}", autocommit=True) as c:
            c.execute(statement.encode())

    def start(self) -> None:
        """Start it, and wait until it answers. It ends with this process, however that ends.

        Raises RuntimeError where it does not start.
        """
        settings = ("listen_addresses=", "fsync=off", "max_connections=200")
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(word for setting in settings for word in ("-c", setting))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for us, who stop it
                preexec_fn=ending_with_us(signal.SIGQUIT),
            )
        end = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(f"host={self.folder} user=tests dbname=postgres").close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    said = (self.folder / "postgres.log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{said}") from error
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: by SIGQUIT at once, as if the machine went down; by SIGINT with connections broken off."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=START_S)


def binaries() -> Path | None:
    """The folder of initdb and postgres, or None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    places = [*map(Path, _HOMES), *([Path(on_path).parent] if on_path else [])]
    return next((place for place in places if (place / "initdb").exists()), None)


@contextmanager
def postgres_server() -> Generator[Server | None]:
    """A server for as long as this lasts; None where the binaries are absent."""
    where = binaries()
    if where is None:
        yield None
        return
    # initdb refuses to run as root: as root, the server is the account `postgres`'s
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="feedback-pg-", dir="/tmp"))
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o755)
    server = Server(folder, where, user)
    try:
        initdb = [str(where / "initdb"), "-D", str(folder / "data"), "-U", "tests", "-A", "trust", "-N", "-E"]
        subprocess.run([*initdb, "UTF8"], check=True, capture_output=True, user=user, cwd=folder)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
