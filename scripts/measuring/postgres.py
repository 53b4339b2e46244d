"""A PostgreSQL server of one's own for as long as a test or a measurement lasts."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

_HOMES = ("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin")


@dataclass
class Server:
    """A running PostgreSQL in a temporary folder, reached by a socket in it."""

    folder: Path
    binaries: Path
    user: str | None
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def options(self) -> str:
        """Of the server, to start it with."""
        return f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=200"

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

    def control(self, *words: str) -> None:
        """`pg_ctl start|stop|restart ...` on its folder."""
        command = [str(self.binaries / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-t", "300", *words]
        with (self.folder / "pg_ctl.log").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, user=self.user, cwd=self.folder)


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl, or None where PostgreSQL is not installed."""
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
        server.control("-o", server.options, "start")
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.control("-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
