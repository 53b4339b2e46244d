"""`python -m rlhf.serve`: an OpenAI-compatible endpoint for policies. docs/serve.md says why it is our own.

Nothing heavy is imported before the options are known to be right, so help and errors answer at once.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence

from rlhf import listening
from rlhf.config.serve import ServeConfig
from rlhf.errors import EXIT_CODE, ConfigError, RlhfError
from rlhf.serving.options import help_page, parse_options


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code: 0 stopped, 2 refused, 130 stopped too early."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(help_page())
        return 0
    try:
        cfg = parse_options(words)
        try:
            serve(cfg)
        except RlhfError:
            if cfg.traceback:
                traceback.print_exc()
            raise
    except RlhfError as error:
        print("error: " + "\n  ".join(str(error).splitlines()), file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        return 130
    return 0


def serve(cfg: ServeConfig) -> None:
    """Loads the policies and answers until SIGTERM or Ctrl-C; then finishes what was asked, and returns.

    Raises:
        ConfigError: the address cannot be listened at, or there is no key.
        InputError, ModelError: a policy is not there, or cannot be loaded.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    key = _key(cfg)
    with _listening(cfg) as listener:
        import uvicorn

        from rlhf.config import Config
        from rlhf.serving.app import make_app
        from rlhf.serving.policies import find_policies, load_served
        from rlhf.training.machine import set_up_machine

        artifacts = find_policies(cfg)
        machine = set_up_machine(Config(device=cfg.device, precision=cfg.precision, threads=cfg.threads))
        policies = {name: load_served(name, artifact, cfg, machine) for name, artifact in artifacts.items()}
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(policies, cfg, key),
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, round(cfg.stop_timeout_s)),
            )
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn raises it again once it has stopped
        for name, artifact in artifacts.items():
            print(f"serve: {name} is {artifact.label}", file=sys.stderr)
        print(f"serve: {_address(cfg, listener)}", file=sys.stderr, flush=True)
        server.run(sockets=[listener])


def _listening(cfg: ServeConfig) -> socket.socket:
    """A socket at the address, so that one which is taken is known before anything is loaded."""
    try:
        return listening.listen(cfg.host, cfg.port)
    except OSError as error:
        raise ConfigError(
            f"host={cfg.host} port={cfg.port}: cannot be listened at: {listening.reason(error)}; "
            "take another port, or port=0 for any that is free"
        ) from None


def _address(cfg: ServeConfig, listener: socket.socket) -> str:
    host = f"[{cfg.host}]" if ":" in cfg.host else cfg.host
    return f"http://{host}:{listener.getsockname()[1]}/v1"


def _key(cfg: ServeConfig) -> str | None:
    """The key that clients must send.

    Raises:
        ConfigError: the variable that should hold it does not.
    """
    if cfg.key_env is None:
        return None
    key = os.environ.get(cfg.key_env, "").strip()
    if not (key and key.isascii() and key.isprintable()):
        raise ConfigError(
            f"key_env={cfg.key_env}: this environment variable holds no key; "
            f"export {cfg.key_env}=... in the shell, in one line of ASCII"
        )
    return key


if __name__ == "__main__":
    sys.exit(main())
