"""The deployed databases that the user names: by their URLs, in a file, or by a command that prints them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasklib import shell
from tasklib.errors import Failed, Refused
from tasklib.masking import PASSWORD
from tasklib.postgres import client
from tasklib.postgres.client import Address

# The options of a command that takes them, with what --help says about each.
LISTS = {"url": "URL of a deployed database. Repeatable."}
VALUES = {
    "urls": "A file with a URL a line; - is standard input.",
    "urls_from": "A command that prints URLs, one a line. No shell.",
}


def addresses(given: Mapping[str, Any], cwd: Path) -> list[Address]:
    """Each database once, in the order in which they are named; `Refused` where none is."""
    urls = [*(given["url"] or ()), *_file(given["urls"], cwd), *_printed(given["urls_from"], cwd)]
    if not urls:
        raise Refused("No database is named.", "--url postgresql://…, or --urls FILE with one a line")
    return [*dict.fromkeys(client.parse_url(url, "--url") for url in urls)]


def _file(name: str | None, cwd: Path) -> list[str]:
    if not name:
        return []
    if name == "-":
        return _lines(sys.stdin.read())
    try:
        return _lines((cwd / name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"--urls {name} cannot be read ({error}); a file with a URL a line was expected.") from None


def _printed(command: str | None, cwd: Path) -> list[str]:
    if not command:
        return []
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Refused(f"--urls-from cannot be split into words: {error}.", "--urls-from './list-databases'") from None
    done = shell.run(words, cwd=cwd, ok=None)
    if done.code:  # what it printed may hold passwords
        said = PASSWORD.sub("://***@", done.stderr.strip()) or "nothing"
        raise Failed(f"`{words[0]}` of --urls-from ended with exit code {done.code}. It said:\n  | {said}")
    return _lines(done.stdout)


def _lines(text: str) -> list[str]:
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
