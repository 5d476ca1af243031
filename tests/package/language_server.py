"""A language server as an editor talks to it: JSON-RPC over its standard streams."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

__all__ = ["LanguageServer", "pyright"]

# Any: JSON.


@final
class LanguageServer:
    """
    A conversation with a language server about one program.

    Args:
        process: The server.
        path: Of the program.
        text: The program.
    """

    def __init__(self, process: subprocess.Popen[bytes], path: Path, text: str) -> None:
        self._process = process
        self._document = {"uri": path.as_uri()}
        self._lines = text.splitlines()
        self._last_id = 0
        # Plain text, so that an answer can be compared with a docstring.
        looks: dict[str, Any] = {
            "hover": {"contentFormat": ["plaintext"]},
            "signatureHelp": {"signatureInformation": {"documentationFormat": ["plaintext"]}},
        }
        folder = {"uri": path.parent.as_uri(), "name": path.parent.name}
        start = {"processId": None, "rootUri": folder["uri"], "workspaceFolders": [folder]}
        self.ask("initialize", **start, capabilities={"textDocument": looks})
        self._send("initialized", {})
        document = {**self._document, "languageId": "python", "version": 1, "text": text}
        self._send("textDocument/didOpen", {"textDocument": document})

    def ask(self, method: str, **parameters: Any) -> Any:
        """Ask something and return the answer."""
        self._last_id += 1
        self._send(method, parameters, id=self._last_id)
        while True:
            message = self._receive()
            if "method" in message:
                if "id" in message:  # The server asks too: for settings, of which this editor has none.
                    items = message.get("params", {}).get("items", [])
                    self._write({"id": message["id"], "result": [None for _ in items] or None})
            elif message.get("id") == self._last_id:
                assert "error" not in message, message
                return message["result"]

    def at(self, method: str, line: str, *, after: str) -> Any:
        """Ask about the place after the last occurrence of a text in a line that stands in the program once."""
        assert self._lines.count(line) == 1
        position = {"line": self._lines.index(line), "character": line.rindex(after) + len(after)}
        return self.ask(f"textDocument/{method}", textDocument=self._document, position=position)

    def close(self) -> None:
        """Let the server end."""
        self.ask("shutdown")
        self._send("exit", None)
        self._process.wait()

    def _send(self, method: str, parameters: Any, **more: Any) -> None:
        self._write({"method": method, "params": parameters, **more})

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while (line := self._process.stdout.readline().strip()) or not length:
            assert line, "the language server has stopped"
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@contextmanager
def pyright(path: Path, text: str) -> Generator[LanguageServer]:
    """Open a program in pyright's language server; the folder of the program holds the configuration."""
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
    with subprocess.Popen(command, cwd=path.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            server = LanguageServer(process, path, text)
            yield server
            server.close()
        finally:
            process.kill()
