"""Raters who judge while something happens to the server, and send a click until it is answered."""

import random
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from scripts.feedback_load.page import NoAnswer, Visitor, patient
from scripts.feedback_load.store import Log, Person

PAUSE_S = 0.02
PATIENCE_S = 300.0


class Crowd:
    """A context: people judge at an address from its beginning to its end; `logs` say what they did."""

    def __init__(self, address: str, people: Sequence[Person], *, seed: int) -> None:
        """Starts nobody yet."""
        self.logs = [Log() for _ in people]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._judge, args=(address, person, log, f"{seed}/{number}"), daemon=True)
            for number, (person, log) in enumerate(zip(people, self.logs, strict=True))
        ]

    def __enter__(self) -> Self:
        """They begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Each waits for the answer to the last click, and leaves."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> int:
        """Judgements so far of which the raters were told that they are kept."""
        return sum(len(log.acknowledged) for log in self.logs)

    def wait_for(self, judgements: int, *, at_most_s: float = PATIENCE_S) -> None:
        """Until so many more are acknowledged. Raises TimeoutError."""
        wanted, end = self.acknowledged + judgements, time.monotonic() + at_most_s
        while self.acknowledged < wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.acknowledged} of {wanted} judgements in {at_most_s:.0f} s")
            time.sleep(0.02)

    def _judge(self, address: str, person: Person, log: Log, seed: str) -> None:
        rng = random.Random(seed)
        visitor = Visitor(address, person.token)
        try:
            campaign = self._patiently(visitor, "GET", "/api/campaigns")[0]["id"]
            task = self._patiently(visitor, "GET", f"/api/campaigns/{campaign}/task")["task"]
            while task is not None and not self._over.is_set():
                time.sleep(rng.expovariate(1 / PAUSE_S))
                key = f"{rng.getrandbits(64):016x}"
                log.unsure.add(key)
                body = {"given": {"strength": rng.randint(-3, 3)}, "key": key, "active_s": 1.0}
                told = self._patiently(visitor, "POST", f"/api/assignments/{task['assignment']}/judge", body)
                log.unsure.discard(key)
                log.acknowledged.append(told["receipt"]["judgement"])
                task = told["next"]["task"]
        except NoAnswer as error:
            if not self._over.is_set():
                log.errors.append(str(error))
        except Exception as error:
            log.errors.append(f"{type(error).__name__}: {error}")
        finally:
            visitor.leave()

    def _patiently(self, visitor: Visitor, method: str, path: str, body: Any = None) -> Any:
        until = time.monotonic() + PATIENCE_S
        answer = patient(visitor, method, path, body, until=until, give_up=self._over)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.body}")
        return answer.body
