"""What the user asked for: command line over ``INVOKE_SQUASH_…`` over ``squash:`` in invoke.yaml."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from invoke.context import Context

from tasklib import binds
from tasklib.errors import Refused
from tasklib.masking import PASSWORD, SECRET
from tasklib.postgres import client

# The option names of the command line, with what --help says about each.
HELP = {
    "rev": "R, the revision that becomes the base: an id, a unique part of one, or a relative form such as head-20; "
    "auto is the newest one that all databases of --url, --urls or --urls-from have reached.",
    "into": "The branch that the squash goes into (default: the current one).",
    "source": "Where the base migration comes from: history (default: the old migrations, replayed) or models "
    "(autogenerate).",
    "commit": "With --source models: the commit whose sole head is R (default: found in git history).",
    "directory": "The script directory, the one with env.py (default: found).",
    "command": "How the project runs its migrations, e.g. 'flask db' or 'poetry run flask db' (default: found).",
    "uri-var": "The environment variable that your app reads its database URL from.",
    "set": "NAME=TEMPLATE: an environment variable for the command (or an option of alembic.ini, such as "
    "sqlalchemy.url, or SECTION:sqlalchemy.url); {url} {host} {port} {user} {password} {database} are filled in. Of "
    "several databases in one script directory each has its own: {url:BIND}, {database:BIND} …; BIND is a key of "
    "SQLALCHEMY_BINDS or a name in the ini's databases, and {url} is the default one. Repeatable.",
    "same": "TARGET=TARGET: two addresses (host:port/database) that are one database, a reader's and a writer's say. "
    "Repeatable.",
    "server": "URL of a PostgreSQL server for the scratch databases (default: a throwaway server). Its password is not "
    "kept: give the URL again with each step, or set PGPASSWORD.",
    "before": "COMMAND that runs first on the empty scratch database, where the first tables do not come from a "
    "migration: 'flask create-db', 'psql -f schema.sql'. It gets what the project's command gets; no shell.",
    "reference": "URL of a real database at R that stands for old migrations which cannot be replayed. It is only "
    "read: its schema, and the rows of the tables that --data names. Its password is not kept.",
    "data": "Which rows the base migration carries: all (default), none (default with --reference), or TABLE,TABLE.",
    "keep-value": "TABLE.COLUMN: a volatile column that looks like a credential may become a constant. Repeatable.",
    "timings": "At the end, say what each step took: seconds, CPU, starts of the application.",
    "report": "FILE.html or FILE.md: a report for a pull request: the revision graph before and after, the proof, what "
    "differs.",
    "no-merge": "End with the proven commit on the squash branch, to be pushed for review; the original branch stays.",
}
LISTS = ("set", "same", "keep_value")
FLAGS = ("no_merge", "timings")
KEYS = tuple(name.replace("-", "_") for name in HELP)
# For the collection: every key must have a default, or Invoke does not read its INVOKE_SQUASH_… variable; a list as
# default would make that variable an error.
DEFAULTS: dict[str, None] = dict.fromkeys(KEYS)


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
    same: tuple[str, ...] = ()
    server: str | None = None
    before: tuple[str, ...] = ()
    reference: str | None = None
    data: str = "all"
    keep_value: tuple[str, ...] = ()
    no_merge: bool = False
    timings: bool = False
    report: str | None = None

    def same_as(self, target: str) -> str | None:
        """The other name of a target, as --same gives it."""
        pairs = [tuple(one.split("=", 1)) for one in self.same]
        return next((b if a == target else a for a, b in pairs if target in (a, b)), None)

    def to_json(self) -> dict[str, Any]:
        """For the plan, which never holds a password: it is taken from the URL given again, or from PGPASSWORD."""
        server = client.without_password(self.server, "--server") if self.server else None
        reference = client.without_password(self.reference, "--reference") if self.reference else None
        return {**asdict(self), "server": server, "reference": reference}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Settings:
        return Settings(
            **{
                **data,
                "command": tuple(data["command"]),
                "before": tuple(data["before"]),
                "set": tuple((name, template) for name, template in data["set"]),
                "same": tuple(data["same"]),
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
    data = str(merged["data"] or ("none" if merged["reference"] else "all"))
    if merged["reference"]:
        client.parse_url(str(merged["reference"]), "--reference")
        _refuse_with_reference(merged, data)
    templates = _templates(_text(merged["uri_var"]), _items(merged["set"]))
    _refuse_with_several(merged, binds.named(templates))
    if merged["commit"] and source != "models":
        raise Refused("--commit goes with --source models: history is replayed with today's code.", "leave it out")
    return Settings(
        rev=_text(merged["rev"]),
        into=_text(merged["into"]),
        source=source,
        commit=_text(merged["commit"]),
        directory=_text(merged["directory"]),
        command=tuple(shlex.split(str(merged["command"] or ""))),
        set=templates,
        same=_pairs(_items(merged["same"])),
        server=_text(merged["server"]),
        before=_before(_text(merged["before"])),
        reference=_text(merged["reference"]),
        data=data,
        keep_value=tuple(_items(merged["keep_value"])),
        no_merge=truth(merged["no_merge"]),
        timings=truth(merged["timings"]),
        report=_text(merged["report"]),
    )


def with_server(context: Context, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A single step's options, with the configured URLs where they are among them and were not given."""
    section = context.config.get("squash", {})
    urls = {key: section.get(key) for key in ("server", "reference") if key in given and not given[key]}
    return {**given, **{key: url for key, url in urls.items() if url}}


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
        if not equals or not re.fullmatch(r"([\w.-]+:)?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*", name):
            # Of what may be a URL no more is shown than its scheme: it may hold a password.
            raise Refused(f"--set {name.split('://')[0]} is not NAME=TEMPLATE.", "--set DATABASE_URL={url}")
        if PASSWORD.search(template):
            # Templates are kept in the plan, which must never hold a password.
            raise Refused(
                f"--set {name} holds a URL with a password in it; a template was expected.", f"--set {name}={{url}}"
            )
        if SECRET.search(name) and template and "{" not in template:
            raise Refused(
                f"--set {name} looks like a secret; options are kept in the plan, which must never hold one.",
                f"export {name} in this shell instead: the command inherits it; or --set {name}={{password}}",
            )
        unknown = [match.group(0) for match in binds.PLACEHOLDER.finditer(template) if match[1] not in binds.NAMES]
        if unknown:
            raise Refused(f"--set {name} uses {unknown[0]}; known are {' '.join('{' + p + '}' for p in binds.NAMES)}.")
        if (odd := binds.NO_BIND.search(template)) is not None:
            raise Refused(
                f"--set {name} uses {odd.group(0)}; a bind's name has letters, digits and _ only, since it is part of "
                "the names of functions (upgrade_BIND)."
            )
        found[name] = template
    if uri_var is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", uri_var):
        raise Refused(f"--uri-var {uri_var.split('://')[0]} is not the name of a variable.", "--uri-var DATABASE_URL")
    return tuple(sorted(found.items()))


def _refuse_with_reference(merged: Mapping[str, Any], data: str) -> None:
    if merged["before"]:
        raise Refused(
            "--reference and --before are two answers to one question: what stands for migrations that cannot be "
            "replayed. One was expected.",
            "leave --before out where there is a real database at R",
        )
    if data == "all":
        raise Refused(
            "--data all with --reference: no real database's rows are taken as a whole into a file in git.",
            "--data TABLE,TABLE names the tables whose rows every new database needs",
        )


def _refuse_with_several(merged: Mapping[str, Any], named: tuple[str, ...]) -> None:
    for option, why in (("before", "runs its command on one empty database"), ("reference", "names one database")):
        if merged[option] and len(named) > 1:
            raise Refused(
                f"--{option} {why}, and --set names {len(named)}: {binds.listed(named)}.",
                "leave it out, and make the migrations run from empty databases: put what they lack into the first "
                "one, in a commit of its own (it goes with the squash)",
            )


def _pairs(items: list[str]) -> tuple[str, ...]:
    for item in items:
        if not re.fullmatch(r"[^\s=/]+/[^\s=/]+=[^\s=/]+/[^\s=/]+", item):
            raise Refused(
                f"--same {item if '@' not in item else '…'} is not TARGET=TARGET, each as the plan shows it.",
                "--same reader.example.com:5432/shop=writer.example.com:5432/shop",
            )
    return tuple(items)


def _before(text: str | None) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text or ""))
    except ValueError as error:
        raise Refused(f"--before cannot be split into words: {error}.", "--before 'flask create-db'") from None
    if any(PASSWORD.search(word) or re.search(r"passw(or)?d=\S", word, re.IGNORECASE) for word in words):
        # It is kept in the plan, shown, and named in the base migration.
        raise Refused(
            "--before holds a password; the command gets the scratch database's address by itself.",
            "--before 'flask create-db', which reads the variable of --uri-var; psql needs no address at all",
        )
    return words


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
