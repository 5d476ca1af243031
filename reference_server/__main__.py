"""``python -m reference_server``: serve a world on a socket, or check the audit journal or change the key of a file."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path

from cabinet_sdk.errors import UsageError
from reference_server import audit
from reference_server.clock import SystemClock
from reference_server.database import DatabaseRefused, damaged
from reference_server.encryption import KeyFileRefused, make_key, read_key, rewrite
from reference_server.limits import RateLimit
from reference_server.world import World

__all__ = ["main"]

_RATE_LIMIT = RateLimit(quota=6000, window=60)
_INSTALL = "pip install 'cabinet-sdk[server]'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cabinet-reference-server",
        description="A reference server of the cabinet's contract, for tests. It belongs to no authority; "
        "all data is made up.",
        epilog="The page at / shows the made-up people with their credentials and what to try. "
        f"Serving needs an extra: {_INSTALL}",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('cabinet-sdk')}")
    parser.add_argument(
        "--port", type=_port, default=8080, help="port to listen on; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--db", type=Path, metavar="FILE", help="keep the world in this SQLite file (default: in memory)"
    )
    _add_key(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of the made-up data (default: %(default)s)")
    parser.add_argument(
        "--log-level",
        default="warning",
        # Not uvicorn's `trace`, which writes down whole addresses with what personal data stands in them.
        choices=("critical", "error", "warning", "info", "debug"),
        help="how much to log on stderr (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="without serving")
    audit_parser = commands.add_parser(
        "audit",
        help="check the audit journal of a file, also while it is served",
        description="Reads the audit journal of a world in a file, also while it is served; writes nothing and leaves "
        "nothing beside a file that nobody serves.",
    )
    tasks = audit_parser.add_subparsers(dest="task", required=True)
    verify = tasks.add_parser("verify", help="name the first entry that is not as it was written; exit code 1 then")
    verify.add_argument("file", type=Path, metavar="FILE")
    verify.add_argument(
        "--anchor",
        type=_anchor,
        help="what `audit anchor` printed once (default: the anchor beside the file, FILE-anchor). "
        "One that was kept out of reach tells also what was cut off and which file was put in place of another",
    )
    anchor = tasks.add_parser("anchor", help="print how far the journal has come, to be kept elsewhere")
    anchor.add_argument("file", type=Path, metavar="FILE")
    for task_parser in (verify, anchor):
        # Left out, it leaves what was said before the command.
        _add_key(task_parser, default=argparse.SUPPRESS)
    key_parser = commands.add_parser(
        "key",
        help="make a key; encrypt a file that nobody serves, change its key or take the encryption off",
        description="Makes keys, and puts them on files that nobody serves. A file whose key is lost cannot be read.",
    )
    tasks = key_parser.add_subparsers(dest="task", required=True)
    new = tasks.add_parser("new", help="make a key")
    new.add_argument("file", type=Path, metavar="KEY", help="where it is kept, for its owner alone; never overwritten")
    for task, told in (
        ("encrypt", "encrypt a file that is in clear"),
        ("change", "encrypt a file under another key"),
        ("decrypt", "put a file in clear"),
    ):
        task_parser = tasks.add_parser(task, help=told)
        task_parser.add_argument("file", type=Path, metavar="FILE")
        _add_key(task_parser, required=True)
        if task == "change":
            later = "encrypt it from now on under the key that is kept in KEY"
            _add_key(task_parser, "--new-key-file", later, required=True)
    return parser


def _add_key(
    parser: argparse.ArgumentParser,
    option: str = "--key-file",
    told: str = "the file is encrypted under the key that is kept in KEY: 64 hex digits, which `key new` makes",
    *,
    required: bool = False,
    default: str | None = None,
) -> None:
    parser.add_argument(option, type=_key, metavar="KEY", required=required, default=default, help=told)


def _key(text: str) -> bytes:
    try:
        return read_key(Path(text))
    except KeyFileRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _anchor(text: str) -> audit.Anchor:
    try:
        return audit.Anchor.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _audit(options: argparse.Namespace) -> int:
    """Look at the journal of a file; return the exit code."""
    file: Path = options.file
    try:
        # The anchor before the file, see there.
        anchor: audit.Anchor | None = None if options.task == "anchor" else options.anchor or audit.beside(file)
        database = audit.of_file(file, options.key_file)
        if options.task == "anchor":
            with contextlib.closing(database):
                print(audit.latest(database))
            return 0
    except DatabaseRefused as error:
        print(f"cabinet-reference-server: {error}", file=sys.stderr)
        return 1
    with contextlib.closing(database):
        if anchor is None:
            message = (
                f"{file}-anchor is missing or empty; without an anchor nobody sees what was cut off. Name one: --anchor"
            )
            print(f"cabinet-reference-server: {message}", file=sys.stderr)
            return 1
        breach = audit.check(database, anchor)
        if breach is not None and database.overtaken:
            return _audit(options)
        if breach is not None:
            print(f"{file}: entry {breach.number} is bad: {breach.reason}")
            return 1
        print(f"{file}: {audit.latest(database).number} entries, each as it was written")
        return 0


def _keys(options: argparse.Namespace) -> int:
    """Make a key, or rewrite a file; return the exit code."""
    file: Path = options.file
    try:
        if options.task == "new":
            make_key(file)
        elif options.task == "encrypt":
            rewrite(file, None, options.key_file)
        else:
            rewrite(file, options.key_file, options.new_key_file if options.task == "change" else None)
    except (DatabaseRefused, KeyFileRefused) as error:
        print(f"cabinet-reference-server: {error}", file=sys.stderr)
        return 1
    return 0


def _port(text: str) -> int:
    """Read a port; a larger number would be cut to its last 16 bits by the system."""
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        msg = f"a port is 0 to 65535, not {text}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted, or do what else is asked; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: str = options.command or ""
    if not command and options.key_file is not None and options.db is None:
        parser.error("--key-file encrypts a file, and a world in memory has none: name it with --db")
    try:
        code = {"audit": _audit, "key": _keys}.get(command, _serve)(options)
        print(end="", flush=True)
    except OSError as error:
        # What could not be printed is not to be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Whoever has read what was printed is gone, and needs no word.
        if not isinstance(error, BrokenPipeError):
            print(f"cabinet-reference-server: {error}", file=sys.stderr)
        return 1
    except sqlite3.DatabaseError as error:
        file: Path | None = options.file if command else options.db
        if file is None or type(error) is not sqlite3.DatabaseError:
            # What the disk or the program did, and no word about the file.
            raise
        print(f"cabinet-reference-server: {damaged(file, str(error))}", file=sys.stderr)
        return 1
    return code


def _serve(options: argparse.Namespace) -> int:
    # Being told to stop is a good end: from here on, though not while the modules above are loaded, and once uvicorn,
    # which takes both signals while it serves, has stopped gracefully and raises them again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        return _serve_until_told(options)
    return 0


def _serve_until_told(options: argparse.Namespace) -> int:
    try:
        # Not above: without what the extra installs, this program shall still say what it needs.
        from reference_server.serve import WorldServer, is_loopback, listen  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("reference_server"):
            raise
        print(f"cabinet-reference-server: {error.name} is missing. Serving needs an extra: {_INSTALL}", file=sys.stderr)
        return 1
    private = is_loopback(options.host)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        # Beyond this machine nobody may guess a secret from the seed.
        world = World.seeded(
            seed=options.seed,
            file=options.db,
            key=options.key_file,
            clock=SystemClock(),
            rate_limit=_RATE_LIMIT,
            predictable=private and options.db is None,
        )
    except (DatabaseRefused, UsageError) as error:
        print(f"cabinet-reference-server: {error}", file=sys.stderr)
        return 1
    try:
        listener = listen(options.host, options.port)
    except (OSError, UnicodeError) as error:
        world.close()
        where = f"{options.host} port {options.port}"
        print(f"cabinet-reference-server: cannot listen on {where} (--host, --port): {error}", file=sys.stderr)
        return 1
    try:
        WorldServer(world, listener, ready=_announce, sandbox=private, log_level=options.log_level).serve_forever()
    finally:
        world.close()
    return 0


def _announce(url: str) -> None:
    print(f"Serving on {url}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
