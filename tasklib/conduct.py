"""What a run of the project's command did beside its work: where it went, what it tried to write. Refused by name."""

from __future__ import annotations

import re
from pathlib import Path

from tasklib import binds, console, project, roles, server, several
from tasklib.addresses import is_deaf
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.errors import Refused
from tasklib.guard import DEAF
from tasklib.migrations import Command, Ran, failing_migration
from tasklib.sources import Read
from tasklib.watch import Contact

READ_ONLY = re.compile(r"cannot execute (.+?) in a read-only transaction")


class Misconduct(Refused):
    """A refusal that another form of the URL would not change."""


def refuse_unwatched(bench: Bench, command: Command) -> None:
    """`Refused` where a driver that ignores PGOPTIONS is to be expected, and nothing else would keep it to our server.

    The guard does, where it gets into the project's Python, and on a throwaway server, where every database is ours.
    """
    if command.watch is None or not command.watch.strict:
        return
    deaf, place = is_deaf(command.scheme), bench.place()
    named = command.scheme if deaf else getattr(bench.addresses().deaf(), "name", command.scheme)
    name = next((name for name, template in command.templates if binds.holds_url(template)), "the URL")
    hint = f"{name}=postgresql+psycopg2://… in this shell, where the application takes that driver too"
    if deaf and place.server is None:
        raise Misconduct(
            f"{named} ignores PGOPTIONS, which keep a command read only until it is shown where it connects; that can "
            "be shown on a throwaway server, where every database is ours, but not on the one that --server names.",
            f"leave --server out; or {hint}",
        )
    if not bench.is_watched(command):
        raise Misconduct(
            f"{named} ignores PGOPTIONS, which keep a command read only until it is shown where it connects, and what "
            f"would keep it to the scratch server does not get into the Python that `{' '.join(command.words)}` runs "
            "on (PYTHONPATH does not reach it, or it is older than 3.8).",
            hint,
        )


def refuse_elsewhere(bench: Bench, command: Command, ran: Ran) -> None:
    """`Refused` where a driver would have connected to a database that is not ours."""
    # A socket of a process with a driver in Python may be anything, a log say: that it was closed is a warning.
    databases = [contact for contact in ran.seen.refused if contact.database is not None]
    if databases:
        raise elsewhere(bench, command, databases)
    for contact in ran.seen.refused:
        console.warn(f"the command was not let connect to {contact.shown()} (with {contact.driver} in its process)")


def elsewhere(bench: Bench, command: Command, contacts: list[Contact]) -> Refused:
    """The refusal for connections that were not let through."""
    places = " and ".join(dict.fromkeys(f"to {contact.shown()} ({contact.driver})" for contact in contacts))
    text = (
        f"The application does not connect where {names(command)} says ({command.scheme}://…): it went {places}, and "
        "was not let through. Nothing was written anywhere."
    )
    place = bench.place()
    if place.server is None and any(c.driver in DEAF and c.port == str(place.port) for c in contacts):
        return Misconduct(
            f"{text} Of this driver it cannot be told which database of the server it asks for.",
            "leave --server out: every database of a throwaway server is ours",
        )
    note, hint = bench.addresses().overridden([name for name, _ in command.templates])
    return Misconduct(f"{text}\n{note}" if note else text, hint or other_variables(bench, command))


def refuse_writes(bench: Bench, chain: Chain, ran: Ran, logged: server.Logged) -> None:
    """`Refused` where a command that was only asked something tried to write, whether it hid the error or not."""
    said = ran.stderr + ran.stdout
    moved = re.search(r"Running (?:up|down)grade .*", said)
    errors = writes(ran, logged)
    if not errors and moved is None:
        return
    where = _place(bench, chain, said) or "Something that the application or env.py runs at its start"
    what = f"PostgreSQL refused {errors[0][0]}" if errors else f"Alembic said: {moved.group(0) if moved else ''}"
    statement = f":\n  | {' '.join(errors[0][1].split())[:200]}\n" if errors and errors[0][1] else ". "
    raise Misconduct(
        f"{where} writes to the database when it is only asked where it stands: {what}{statement}"
        "Only migrations may write, or what they build cannot be told. Nothing was written anywhere.",
        "take it (create_all(), upgrade(), CREATE SCHEMA …) out of env.py and of what the application does at import",
    )


def writes(ran: Ran, logged: server.Logged) -> list[tuple[str, str]]:
    """(what, statement) of all that was refused to a command that may only read; "" where no statement is known."""
    said = ran.stderr + ran.stdout
    errors = [(match.group(1), error.statement) for error in logged.errors if (match := READ_ONLY.match(error.text))]
    return errors or [(match.group(1), _statement(said)) for match in READ_ONLY.finditer(said)]


def refuse_other_code(bench: Bench, chain: Chain, ran: Ran) -> None:
    """`Refused` where the command runs code of the project's own packages that is not what this tree holds.

    Code that is the same to the letter, as after `pip install .` of this very tree, is this tree's.
    """
    packages = project.own_packages(bench.repository, bench.plan.tip, bench.plan.layout)
    roots = (bench.repository.top.resolve(), chain.root.resolve())
    for name, file in sorted(ran.seen.modules.items()):
        path, first = Path(file), name.partition(".")[0]
        if any(path.resolve().is_relative_to(root) for root in roots) or first not in packages:
            continue
        inner = [bench.repository.top / place / name.replace(".", "/") for place in packages[first]]
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


def refuse_elsewhere_at_work(chain: Chain, ran: Ran) -> None:
    """`Refused` where a migration would have connected to a database that is not ours, whatever became of it."""
    contacts = [contact for contact in ran.seen.refused if contact.database is not None]
    if contacts:
        revision = failing_migration(ran, chain)
        name = f"The migration {revision} ({chain.history.migrations[revision].path})" if revision else "The command"
        raise Refused(
            f"{name} connects to {contacts[0].shown()} ({contacts[0].driver}), which is no scratch database; it was "
            "not let through.",
            "--set NAME={url} for the variable that it reads that address from",
        )


def names(command: Command) -> str:
    """The variables that the command is given, for a message."""
    return ", ".join(name for name, _ in command.templates)


def others(bench: Bench, command: Command) -> list[Read]:
    """Reads of likely variables that nobody named."""
    named = {name for name, _ in command.templates}
    return [read for read in bench.addresses().likely() if read.name not in named]


def other_variables(bench: Bench, command: Command) -> str:
    """The hint that names the other likely variables; of several databases, what to type for each."""
    named = several.named(bench.repository, bench.plan.tip, bench.plan.layout)
    if named is not None and set(named.binds) != set(bench.binds):
        return of_several(bench, command)
    found = others(bench, command)
    if not found:
        return "--uri-var NAME, the variable that the application reads its database URL from"
    listed = ", ".join(read.shown for read in found)
    return f"--uri-var {found[0].name}, perhaps; the project's files read {listed}"


def of_several(bench: Bench, command: Command) -> str:
    """The hint that gives each of several databases a variable."""
    named = several.named(bench.repository, bench.plan.tip, bench.plan.layout)
    return several.hint(named, command.templates, bench.addresses().likely())


def _place(bench: Bench, chain: Chain, said: str) -> str:
    """The project's own line that a traceback ends in, or ""."""
    for file, line in reversed(re.findall(r'File "([^"]+)", line (\d+)', said)):
        path = Path(file)
        for root in (chain.root, bench.repository.top):
            if path.is_relative_to(root) and "site-packages" not in path.parts:
                return f"{path.relative_to(root).as_posix()}:{line}"
    return ""


def _statement(said: str) -> str:
    match = re.search(r"(?ms)^\[SQL: (.*?)\]$", said)
    return match.group(1) if match else ""
