"""What a run of the project's command did beside its work: where it went, which files it ran. Proof 4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tasklib.command.project_command import Command, Ran
from tasklib.errors import Failed, Refused
from tasklib.history.chains import Chain
from tasklib.judge import roles
from tasklib.postgres import client
from tasklib.project import discovery
from tasklib.reference import targets
from tasklib.repository import status
from tasklib.workbench import groundwork
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND

IMPORT_FAILED = re.compile(r"(?m)^(ModuleNotFoundError|ImportError|SyntaxError|IndentationError)\b")
SQLITE = b"SQLite format 3\0"


class Misconduct(Refused):
    """A refusal for what the project's command does."""


def unwatched(command: Command) -> Misconduct:
    """The refusal of a command whose Python the guard did not get into."""
    return Misconduct(
        f"What leads connections to scratch databases does not get into the Python that `{' '.join(command.words)}` "
        "runs on: PYTHONPATH does not reach it (python -E or -I, env -i, sudo, a container), or it is older than 3.6. "
        "Without it, nothing could be proven about where the migrations run.",
        "name a command that keeps this shell's variables and runs on this machine: --command 'flask db', "
        "--command 'alembic -c FILE'",
    )


def check(bench: Bench, chain: Chain, ran: Ran, role: str) -> None:
    """Proof 4 for a run that ended well: it was watched, env.py migrated the scratch databases that were meant and no
    other one, and the files that Alembic loaded are the chain's. Raises `Learnt`, or `Misconduct`.
    """
    targets.learn(bench, ran.seen)
    command, seen = bench.command(), ran.seen
    if not seen.there:
        raise unwatched(command)
    meant = {bench.address(role, bind).database for bind in bench.binds}
    visited = {visit.database for visit in seen.visits}
    if visited != meant and not (len(meant) == 1 and visited == {None}):
        shown = " and ".join(sorted(one or "an unknown one" for one in visited)) or "no database"
        raise Misconduct(
            f"env.py ran migrations for {shown}; {' and '.join(sorted(meant))} was expected, and no other one.",
            "does env.py run them for another database in some runs?",
        )
    there = {id_: chain.file(id_).resolve() for id_ in chain.history.migrations}
    ran_from = {id_: Path(file).resolve() for id_, file in seen.revisions.items()}
    if bench.plan.layout.in_place:
        # What looks for them in the work tree finds them there, as they are in the chain's own place.
        top = bench.repository.top
        tree = {id_: (top / one.path).resolve() for id_, one in chain.history.migrations.items()}
        there = {
            id_: tree[id_] if ran_from.get(id_) == tree[id_] and _alike(tree[id_], file) else file
            for id_, file in there.items()
        }
    if there != ran_from:
        odd = next(iter(sorted(ran_from.items() - there.items())), None)
        missing = sorted(there.keys() - ran_from.keys())
        what = f"it loaded {odd[1]} ({odd[0]})" if odd else f"it did not load {', '.join(missing[:3])}"
        raise Misconduct(
            f"The command does not run the {chain.name} chain, in {chain.root}: {what}.",
            "is the script directory fixed somewhere, so that -d (or -c) does not reach it?",
        )
    refuse_other_code(bench, chain, ran)
    _take_legacy(bench, chain, seen.legacy)


def _take_legacy(bench: Bench, chain: Chain, legacy: frozenset[str]) -> None:
    """Keep which squashed revisions ran as SQLAlchemy 1 had them. `Failed` for one that stays: others cannot run it."""
    stay = sorted(legacy.difference(bench.plan.gone))
    if stay:
        path = chain.history.migrations[stay[0]].path
        raise Failed(
            f"{path} calls SQLAlchemy as it was before version 2 (a text for execute(), a list for select() …), and "
            "cannot run with the version that is installed.",
            f"repair {path} in a commit of its own: it stays, and every database will run it",
        )
    with bench.lock:
        if not legacy.issubset(bench.plan.legacy):
            bench.save(replace(bench.plan, legacy=tuple(sorted(legacy.union(bench.plan.legacy)))))


def _alike(one: Path, other: Path) -> bool:
    return one == other or (one.is_file() and one.read_bytes() == other.read_bytes())


def refuse_other_code(bench: Bench, chain: Chain, ran: Ran) -> None:
    """`Refused` where the command runs code of the project's own packages that is not what this tree holds.

    Code that is the same to the letter, as after `pip install .` of this very tree, is this tree's.
    """
    packages = discovery.own_packages(bench.repository, bench.plan.tip, bench.plan.layout)
    roots = (bench.repository.top.resolve(), chain.root.resolve())
    for name, file in sorted(ran.seen.modules.items()):
        path, first = Path(file), name.partition(".")[0]
        if any(path.resolve().is_relative_to(root) for root in roots) or first not in packages:
            continue
        places = packages[first]
        whole = Path(ran.seen.modules[first]).resolve() if first in ran.seen.modules else None
        if whole is not None and whole.is_relative_to(roots[0]):
            # A part of what this tree's package is extended by: a dependency's, unless this very place has it too.
            places = tuple(one for one in places if whole.is_relative_to(roots[0] / one / first))
        inner = [bench.repository.top / place / name.replace(".", "/") for place in places]
        files = (file for one in inner for file in (one / "__init__.py", one.with_suffix(".py")))
        # Several packages of a repository may have a module of one name: it is one of them.
        own = sorted((file for file in files if file.is_file()), key=lambda file: file.name != path.name)
        if own and path.is_file() and path.read_bytes() not in [file.read_bytes() for file in own]:
            place = own[0].parents[name.count(".") + (own[0].name == "__init__.py")]
            place = place.parent if place.name == "src" else place
            raise Misconduct(
                f"The command runs {path}, which is not what this tree holds as "
                f"{own[0].relative_to(bench.repository.top)}: the project is installed from elsewhere in its "
                "environment. What would be proven is not the code of this tree.",
                f"pip install -e {place} in the environment of `{' '.join(bench.plan.layout.command)}`",
            )


def refuse_missing_role(ran: Ran) -> None:
    """`Refused` where env.py sets a role that the server does not have."""
    if ran.code and (match := roles.MISSING.search(ran.stderr)) is not None:
        role = match.group(1)
        raise Misconduct(
            f"The application asks for the role {role} (SET ROLE?), which the scratch server does not have: "
            f"{match.group(0)}.",
            f"name a server that has it, by --server (a user there with CREATEDB that may SET ROLE {role})",
        )


@contextmanager
def new_files_removed(bench: Bench) -> Iterator[None]:
    """Remove SQLite databases that the command was seen to make in the work tree, and directories made for them.

    An app that lacks a variable may open the SQLite file that is its default, and so create it. Others may make such
    files meanwhile, too.
    """
    top = bench.repository.top
    around = {top, bench.cwd}
    before = set(status.unheld(bench.repository, "."))
    directories = {child for base in around for child in base.iterdir() if child.is_dir()}
    try:
        yield
    finally:
        for path in set(status.unheld(bench.repository, ".")) - before:
            file = top / path
            made = str(file.resolve()) in bench.tally.files
            # One that was opened and not written is empty.
            if made and file.is_file() and file.read_bytes()[:16] in (b"", SQLITE):
                file.unlink()
                if file.parent not in directories | around and not any(file.parent.iterdir()):
                    file.parent.rmdir()
        # Flask-SQLAlchemy makes it for its SQLite files.
        for child in {base / "instance" for base in around} - directories:
            if child.is_dir() and not any(child.iterdir()):
                child.rmdir()


def refuse_written_beside(bench: Bench, role: str, who: str, *, bare: bool = False) -> None:
    """`Refused` where something was made in a database that is not one which env.py runs migrations for; ``bare``: one
    that began without the groundwork.
    """
    stands_for = {name: target for target, name in bench.plan.targets.items()}
    for name in bench.plan.others:
        with client.connect(bench.address(role, name), read_only=True) as connection:
            there = connection.rows(groundwork.ANYTHING)
        with client.connect(bench.address(GROUND, name), read_only=True) as connection:
            before = connection.rows(groundwork.ANYTHING)
        if len(there) > len(before) or (len(there) < len(before) and not bare):
            own = " or ".join(target for target, of in bench.plan.targets.items() if of in bench.binds)
            raise Refused(
                f"{who} to a second database, {stands_for[name]}, which is not the one that env.py runs the migrations "
                "for. No base migration could be proven to do that.",
                f"--same {stands_for[name]}={own or 'TARGET'} if the two are one database",
            )
