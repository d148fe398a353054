"""Pulling an image and showing how it goes.

The daemon sends JSON lines (``status``, ``id``, ``progressDetail``, ``error``). On a terminal each layer
has a line that is rewritten in place; elsewhere only the lines without a progress bar are printed, as
Docker does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from fairway.api.client import Client
from fairway.cli.exits import FAILED, Exit
from fairway.cli.reference import Reference
from fairway.cli.units import human_size


def pull(
    client: Client,
    reference: Reference,
    platform: str,
    *,
    to_stderr: bool,
    quiet: bool,
    all_tags: bool = False,
) -> None:
    """Pull ``reference``; ``Exit`` when the registry or the daemon refuses on the way."""
    query = {
        "fromImage": reference.name,
        "tag": None if all_tags else reference.wanted,
        "platform": platform or None,
    }
    messages = client.request(
        "POST", "/images/create", query, headers={"X-Registry-Auth": "e30="}
    ).json_stream()
    show_progress(messages, sys.stderr if to_stderr else sys.stdout, quiet)


def show_progress(messages: Iterable[dict[str, Any]], out: TextIO, quiet: bool = False) -> None:
    """Print the daemon's messages; ``Exit`` for an error among them."""
    board = _Board(out)
    for message in messages:
        if error := message.get("error") or (message.get("errorDetail") or {}).get("message"):
            raise Exit(FAILED, str(error))
        if quiet:
            continue
        if "stream" in message:
            out.write(str(message["stream"]))
        else:
            board.show(message)
    out.flush()


class _Board:
    """The lines on the terminal, one a layer."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._tty, self._rows = out, out.isatty(), dict[str, int]()

    def show(self, message: dict[str, Any]) -> None:
        layer, status = str(message.get("id") or ""), str(message.get("status") or "")
        detail = message.get("progressDetail") or {}
        text = f"{layer}: {status}" if layer else status
        if not self._tty:
            # A bar that cannot be redrawn is a thousand lines: leave them out.
            if not detail.get("current"):
                self._out.write(
                    f"{text} \n" if layer and status in ("Downloading", "Extracting") else f"{text}\n"
                )
            return
        text += f" {_bar(detail)}" if detail.get("current") else ""
        if not layer:
            self._rows.clear()
            self._out.write(f"{text}\n")
            return
        self._rewrite(layer, text)

    def _rewrite(self, layer: str, text: str) -> None:
        if layer not in self._rows:
            self._rows[layer] = len(self._rows)
            self._out.write(f"{text}\n")
            return
        up = len(self._rows) - self._rows[layer]
        self._out.write(f"\033[{up}A\033[2K\r{text}\r\033[{up}B")
        self._out.flush()


def _bar(detail: dict[str, Any]) -> str:
    current, total = detail.get("current") or 0, detail.get("total") or 0
    if not total:
        return human_size(current, 4)
    done = min(50, current * 50 // total)
    bar = "=" * done + ">" + " " * (50 - done) if done < 50 else "=" * 50 + ">"
    return f"[{bar}] {human_size(current):>8}/{human_size(total)}"
