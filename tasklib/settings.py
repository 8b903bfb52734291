"""What the user asked for: command line over ``INVOKE_SQUASH_…`` over ``squash:`` in invoke.yaml."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from invoke.context import Context

from tasklib import postgres
from tasklib.errors import Refused

# The option names of the command line, with what --help says about each.
HELP = {
    "rev": "R, the revision that becomes the base: an id, a unique part of one, or a relative form such as head-20.",
    "into": "The branch that the squash goes into (default: the current one).",
    "source": "Where the base migration comes from: history (default: the old migrations, replayed) or models "
    "(autogenerate).",
    "commit": "With --source models: the commit whose sole head is R (default: found in git history).",
    "directory": "The script directory, the one with env.py (default: found).",
    "command": "How the project runs its migrations, e.g. 'flask db' or 'poetry run flask db' (default: found).",
    "uri-var": "The environment variable that your app reads its database URL from.",
    "set": "NAME=TEMPLATE: an environment variable for the command (or an option of alembic.ini, such as "
    "sqlalchemy.url); {url} {host} {port} {user} {password} {database} are filled in. Repeatable.",
    "server": "URL of a PostgreSQL server for the scratch databases (default: a throwaway server). Its password is not "
    "kept: give the URL again with each step, or set PGPASSWORD.",
    "reference": "URL of a real database at R that is taken as the truth (not supported yet: refused).",
    "data": "Which rows the base migration carries: all (default), none, or TABLE,TABLE.",
    "keep-value": "TABLE.COLUMN: a volatile column that looks like a credential may become a constant. Repeatable.",
    "no-merge": "End with the proven commit on the squash branch, to be pushed for review; the original branch stays.",
}
LISTS = ("set", "keep_value")
FLAGS = ("no_merge",)
KEYS = tuple(name.replace("-", "_") for name in HELP)
# For the collection: every key must have a default, or Invoke does not read its INVOKE_SQUASH_… variable; a list as
# default would make that variable an error.
DEFAULTS: dict[str, None] = dict.fromkeys(KEYS)
SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|(^|_)KEY$", re.IGNORECASE)
PLACEHOLDERS = ("url", "host", "port", "user", "password", "database")


@dataclass(frozen=True)
class Settings:
    """All options, resolved. ``set`` maps a variable's name to its template (``--uri-var`` is a template too)."""

    rev: str | None = None
    into: str | None = None
    source: str = "history"
    commit: str | None = None
    directory: str | None = None
    command: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    server: str | None = None
    reference: str | None = None
    data: str = "all"
    keep_value: tuple[str, ...] = ()
    no_merge: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the plan, which never holds a password: it is taken from --server given again, or from PGPASSWORD."""
        server = replace(postgres.parse_url(self.server, "--server"), password="").url() if self.server else None
        return {**asdict(self), "server": server, "reference": None}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Settings:
        return Settings(
            **{
                **data,
                "command": tuple(data["command"]),
                "set": tuple((name, template) for name, template in data["set"]),
                "keep_value": tuple(data["keep_value"]),
            }
        )


def resolve(context: Context, given: Mapping[str, Any]) -> Settings:
    """Settings from Invoke's configuration and the options ``given`` on the command line; unknown keys are refused."""
    section = context.config.get("squash", {})
    configured = dict(section.items()) if hasattr(section, "items") else {}
    _refuse_unknown(configured)
    merged: dict[str, Any] = {}
    for key in KEYS:
        value = given.get(key)
        empty = value is None or value == [] or value is False
        merged[key] = configured.get(key) if empty else value
    source = str(merged["source"] or "history")
    if source not in ("history", "models"):
        raise Refused(f"--source {source} is not known; history or models was expected.", "--source history")
    if merged["reference"]:
        raise Refused("--reference is not supported yet: the reference is the old chain, replayed.", "leave it out")
    if merged["commit"] and source != "models":
        raise Refused("--commit goes with --source models: history is replayed with today's code.", "leave it out")
    return Settings(
        rev=_text(merged["rev"]),
        into=_text(merged["into"]),
        source=source,
        commit=_text(merged["commit"]),
        directory=_text(merged["directory"]),
        command=tuple(shlex.split(str(merged["command"] or ""))),
        set=_templates(_text(merged["uri_var"]), _items(merged["set"])),
        server=_text(merged["server"]),
        data=str(merged["data"] or "all"),
        keep_value=tuple(_items(merged["keep_value"])),
        no_merge=truth(merged["no_merge"]),
    )


def with_server(context: Context, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A single step's options, with the configured server where --server is one of them and was not given."""
    configured = context.config.get("squash", {}).get("server")
    return {**given, "server": configured} if "server" in given and not given["server"] and configured else given


def is_option(name: str) -> bool:
    """Whether a name of --set is an option of the ini (``sqlalchemy.url``): no environment variable holds a dot."""
    return "." in name


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with ``{url}`` and its siblings filled in; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match.group(1), match.group(0)), template)


def _refuse_unknown(configured: Mapping[str, Any]) -> None:
    known = ", ".join(sorted(KEYS))
    for key in configured:
        if key not in KEYS:
            raise Refused(f"`squash:` in the configuration has the key {key!r}; known are: {known}.",
                          "correct it in invoke.yaml (or in ~/.invoke.yaml)")  # fmt: skip
    for name in os.environ:
        if name.startswith("INVOKE_SQUASH_") and name.removeprefix("INVOKE_SQUASH_").lower() not in KEYS:
            names = ", ".join(f"INVOKE_SQUASH_{key.upper()}" for key in sorted(KEYS))
            raise Refused(f"The environment variable {name} is not known; known are: {names}.", f"unset {name}")


def _templates(uri_var: str | None, items: list[str]) -> tuple[tuple[str, str], ...]:
    found = {uri_var: "{url}"} if uri_var else {}
    for item in items:
        name, equals, template = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*", name):
            # Of what may be a URL no more is shown than its scheme: it may hold a password.
            raise Refused(f"--set {name.split('://')[0]} is not NAME=TEMPLATE.", "--set DATABASE_URL={url}")
        if re.search(r"://[^\s{}@]*:[^\s{}]+@", template):
            # Templates are kept in the plan, which must never hold a password.
            raise Refused(
                f"--set {name} holds a URL with a password in it; a template was expected.", f"--set {name}={{url}}"
            )
        if SECRET.search(name) and template and "{" not in template:
            raise Refused(
                f"--set {name} looks like a secret; options are kept in the plan, which must never hold one.",
                f"export {name} in this shell instead: the command inherits it; or --set {name}={{password}}",
            )
        unknown = [word for word in re.findall(r"\{(\w+(?::\w+)?)\}", template) if word not in PLACEHOLDERS]
        if unknown:
            raise Refused(
                f"--set {name} uses {{{unknown[0]}}}; known are {' '.join('{' + p + '}' for p in PLACEHOLDERS)}."
            )
        found[name] = template
    if uri_var is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", uri_var):
        raise Refused(f"--uri-var {uri_var.split('://')[0]} is not the name of a variable.", "--uri-var DATABASE_URL")
    return tuple(sorted(found.items()))


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _items(value: object) -> list[str]:
    """A list as the command line gives it, or as text with one item a line (invoke.yaml, environment)."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [str(one) for one in value]
    return [line.strip() for line in str(value).splitlines() if line.strip()]


def truth(value: object) -> bool:
    return str(value).strip().lower() in ("1", "true", "yes", "on") if value is not None else False
