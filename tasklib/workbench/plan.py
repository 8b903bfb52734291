"""The plan: all that the steps must agree on, kept in git's private (common) directory between commands.

No password is ever in it: a throwaway server keeps its own in its own directory, a server that the user names takes it
from the URL given again, from PGPASSWORD or from ~/.pgpass.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tasklib import binds
from tasklib.errors import Refused
from tasklib.postgres import variables
from tasklib.project.layout import Layout
from tasklib.repository.git import Repository
from tasklib.settings import Settings

FORMAT = 3


@dataclass(frozen=True)
class Place:
    """Where the scratch databases are. ``server`` is our throwaway server's directory, or None for the user's server,
    whose address is then here without its password. ``names`` maps a role (reference, candidate …) to a database.
    Where the history makes roles, each database is in a cluster of its own, and ``ports`` maps the clusters' names to
    their servers' ports.
    """

    token: str
    work: str
    server: str | None
    host: str
    port: int
    user: str
    database: str
    options: tuple[tuple[str, str], ...]
    names: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def safely(self) -> tuple[tuple[str, str], ...]:
        """What the user's variables say of the way to the user's server; a throwaway one is none of it."""
        return variables.inherited() if self.server is None else ()

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Place:
        return Place(**{**data, "options": tuple((name, value) for name, value in data["options"])})


@dataclass(frozen=True)
class Plan:
    """One squash. ``tip`` is the original branch's commit, ``start`` the squash branch's first one."""

    revision: str
    original: str
    tip: str
    branch: str
    start: str
    source: str
    base_path: str
    gone: tuple[str, ...]
    kept: tuple[str, ...]
    layout: Layout
    settings: Settings
    program: str
    head_was: str
    done: tuple[str, ...] = ()
    place: Place | None = None
    # Alembic's own table (schema, "" for the default one, and name), once a run has shown which of several it is.
    version_table: tuple[str, str] | None = None
    # The version of the application's SQLAlchemy: it decides which operations the base migration may use.
    sqlalchemy: str = ""
    # Whether the history makes or changes roles, so that each run needs a cluster of its own.
    apart: bool = False
    # Whether the application does not start beside itself (it listens on a port, say).
    alone: bool = False
    # Whether the application runs Alembic's upgrade at its start: it has databases of its own until then.
    upgrades_itself: bool = False
    # Squashed revisions that call SQLAlchemy as it was before version 2, and ran as they did then.
    legacy: tuple[str, ...] = ()
    # Extensions that the migrations make, by the SQL in their strings.
    extensions: tuple[str, ...] = ()
    # Roles that the history names and does not make, which the throwaway server is given: name → attributes.
    needed_roles: Mapping[str, str] = field(default_factory=dict)
    # What the application connects to (host:port/database) → the name of the scratch database that stands for it.
    targets: Mapping[str, str] = field(default_factory=dict)
    # What env.py calls the databases that it migrates, where it was seen.
    names: tuple[str, ...] = ()
    # What env.py makes before any migration, in words; statements for what nobody makes → the schema or extension.
    ground: tuple[str, ...] = ()
    groundwork: Mapping[str, str] = field(default_factory=dict)
    # What env.py sets for its session, by bind and by name.
    session: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Templates as in the settings, for what the application does not start without; and the scheme of all URLs.
    found: tuple[tuple[str, str], ...] = ()
    # What chooses the migrations' schema, and leads to public here:
    # ("variable" or "argument" of -x, name, value here, value elsewhere).
    in_public: tuple[tuple[str, str, str, str], ...] = ()
    scheme: str | None = None
    # Files that runs of the project's command left or changed in the work tree: no part of the squash.
    left: tuple[str, ...] = ()
    replayed: Mapping[str, Any] | None = None
    # What this program put into the work tree, by path: R's file, its data files, templates of `init`; each with a
    # digest, "" while it is being written. They are known here before they are there: `abort` knows them for ours.
    placed: Mapping[str, str] = field(default_factory=dict)
    proof: Mapping[str, Any] | None = None

    @property
    def templates(self) -> tuple[tuple[str, str], ...]:
        """Variables that the command gets: those that the user named, those that are filled in with the address of a
        scratch database, and those that lead to public.
        """
        ours = (*self.found, *((name, value) for kind, name, value, _ in self.in_public if kind == "variable"))
        given = dict(self.settings.set)
        return (*self.settings.set, *(one for one in ours if one[0] not in given))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Words more for each of the command's runs."""
        named = (f"{name}={value}" for kind, name, value, _ in self.in_public if kind == "argument")
        return tuple(word for one in named for word in ("-x", one))

    @property
    def binds(self) -> tuple[str, ...]:
        """The databases that the script directory is for, by env.py's names of them; ("",) where there is one."""
        return self.names or binds.named(self.settings.set)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of scratch databases that stand for targets which no migration is for."""
        return tuple(sorted({*self.targets.values()} - {*self.binds}))

    @property
    def data(self) -> tuple[str, ...]:
        """The data files of R's file."""
        stem = self.base_path.removesuffix(".py")
        return tuple(path for path in self.placed if path.startswith(f"{stem}.") and path != self.base_path)

    def finished(self, step: str) -> Plan:
        """The same plan with one more step done."""
        return self if step in self.done else replace(self, done=(*self.done, step))

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self), "settings": self.settings.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Plan:
        fields = {name: value for name, value in data.items() if name != "format"}
        return Plan(
            **{
                **fields,
                "gone": tuple(data["gone"]),
                "kept": tuple(data["kept"]),
                "done": tuple(data["done"]),
                "left": tuple(data["left"]),
                "names": tuple(data["names"]),
                "ground": tuple(data["ground"]),
                "legacy": tuple(data.get("legacy", ())),
                "extensions": tuple(data.get("extensions", ())),
                "found": tuple((name, template) for name, template in data["found"]),
                "in_public": tuple((kind, name, here, there) for kind, name, here, there in data.get("in_public", ())),
                "version_table": (data["version_table"][0], data["version_table"][1])
                if data["version_table"]
                else None,
                "layout": Layout.from_json(data["layout"]),
                "settings": Settings.from_json(data["settings"]),
                "place": Place.from_json(data["place"]) if data["place"] else None,
            }
        )


def state_directory(repository: Repository) -> Path:
    return repository.common / "alembic-squash"


def file(repository: Repository) -> Path:
    """Where the plan is kept; as long as it is there, what it knows of is somebody's."""
    return state_directory(repository) / "plan.json"


def exists(repository: Repository) -> bool:
    return file(repository).exists()


def load(repository: Repository, program: str) -> Plan:
    """The plan of the squash that is under way; `Refused` where there is none."""
    path = file(repository)
    damaged = Refused(
        f"{path} cannot be read; it was expected to be as this program wrote it.",
        f"git checkout your branch, git branch -D the squash branch, then rm -r {path.parent}; a throwaway server is "
        "swept when the next one starts",
    )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise damaged from None
    except FileNotFoundError:
        raise Refused(
            "No squash is under way in this repository; one was expected.", f"{program} checkout --rev R"
        ) from None
    if not isinstance(data, dict):
        raise damaged
    if data.get("format") != FORMAT:
        raise Refused(
            f"{path} was written by another version of this program (format {data.get('format')}, expected {FORMAT}).",
            "finish or abort with that version",
        )
    try:
        return Plan.from_json(data)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise damaged from None


def create(repository: Repository, plan: Plan) -> None:
    """Write the first plan; `Refused` where one exists: two squashes at a time would fight over one work tree."""
    directory = state_directory(repository)
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise Refused(
            f"{directory} cannot be made ({error.strerror}); a git directory that may be written to was expected.",
            f"ls -ld {directory.parent}",
        ) from None
    # Written first and linked then: whoever looks meanwhile, or after a kill, finds no half of it.
    fresh = directory / f"plan.json.{os.getpid()}"
    try:
        fresh.write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
        file(repository).hardlink_to(fresh)
    except FileExistsError:
        raise Refused("A squash is already under way in this repository.", f"{plan.program} status") from None
    finally:
        fresh.unlink(missing_ok=True)
        with suppress(OSError):  # only where the plan could not be written is it empty
            directory.rmdir()


def save(repository: Repository, plan: Plan) -> Plan:
    """Replace the plan in one stroke: a kill leaves the old one or the new one."""
    directory = state_directory(repository)
    fresh = directory / "plan.json.new"
    fresh.write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
    fresh.replace(file(repository))
    return plan


def forget(repository: Repository) -> None:
    """Remove the plan and its directory."""
    shutil.rmtree(state_directory(repository), ignore_errors=True)
