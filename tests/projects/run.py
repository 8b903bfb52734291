"""Squashes a real project on a throwaway clone of it, and prints one row of the README's table.

    python -m tests.projects.run /path/to/clone --bin /path/to/its/environment/bin \
        --new-database 'flask db upgrade' --env 'DATABASE_URL={url}' -- --rev head-20 --uri-var DATABASE_URL

{url} is a `postgresql://…`; a project that insists on a driver gets it from parts: `postgresql+psycopg://{user}:…`.

It fetches nothing and leaves the clone as it is. What follows `--` is given to `alembic-squash plan` and `squash`; the
squash goes the whole way, into the branch of the throwaway clone. The exit code is that of `squash`; or 5, where it is
0 and the base migration has SQL for what an operation says as well, or makes another database than the old ones.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasklib import interrupts
from tasklib.postgres import client, server
from tasklib.postgres.client import Address
from tests.support import native

TOOL = Path(sys.executable).parent / "alembic-squash"
SAME = re.compile(r"(?m)^- (at .+?): the same \((\d+) objects, (\d+) rows in \d+ tables, \d+ sequences\)$")
FAULTS = 5
COLUMNS = ("project", "commit", "R", "migrations", "options", "exit code, and what was proven", "base migration",
           "time, memory", "a new database")  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """A finished command; times in seconds, ``memory`` the largest process of it in MB."""

    code: int
    said: str
    seconds: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Trial:
    """What to run: ``paths`` are the clone's directories that its code is imported from, before its environment's own
    (an editable install would be another tree's), ``variables`` may hold {url} {host} {port} {user} {password}
    {database}.
    """

    clone: Path
    commit: str
    bin: Path
    cwd: str
    paths: tuple[str, ...]
    variables: Mapping[str, str]
    options: tuple[str, ...]
    new_database: str | None
    new_before: str | None
    reference_by: str | None
    times: int

    def environment(self, top: Path, address: Address | None = None) -> dict[str, str]:
        """As in a shell with the project's environment active; templates stay out where there is no address."""
        found = {name: text for name, text in client.clean_environment().items() if not name.startswith("INVOKE_")}
        found |= {"VIRTUAL_ENV": str(self.bin.parent), "PATH": f"{self.bin}{os.pathsep}{found.get('PATH', '')}"}
        found |= {"PYTHONPATH": os.pathsep.join(str(top / path) for path in self.paths), "PYTHONDONTWRITEBYTECODE": "1"}
        for name, template in self.variables.items():
            if address is not None or not re.search(r"\{\w+\}", template):
                found[name] = filled(template, address)
        return found


def filled(template: str, address: Address | None) -> str:
    """The template with the parts of an address filled in."""
    if address is None:
        return template
    values = {"url": address.url(), "host": address.host, "port": str(address.port), "user": address.user,
              "password": address.password, "database": address.database}  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match.group(1), match.group(0)), template)


def main(words: Sequence[str] | None = None) -> int:
    trial = read_options(words)
    with interrupts.heard():
        return tried(trial)


def tried(trial: Trial) -> int:
    """Run the trial and print its row; returns the exit code of `squash`."""
    with tempfile.TemporaryDirectory(prefix="alembic-squash-project-") as directory, OwnServer(Path(directory)) as at:
        top, before = Path(directory) / trial.clone.name, Path(directory) / "before"
        for one in (top, before):
            checked_out(trial, one)
        options = list(trial.options)
        if trial.reference_by:
            fresh = at("reference")
            command = shlex.split(filled(trial.reference_by, fresh))
            done = run(command, top / trial.cwd, trial.environment(top, fresh))
            if done.code:
                raise SystemExit(f"{trial.reference_by} ended with exit code {done.code}:\n{done.said}")
            options += ["--reference", fresh.url()]
        planned = run([TOOL, "plan", *options], top / trial.cwd, trial.environment(top))
        done = run([TOOL, "squash", *options], top / trial.cwd, trial.environment(top))
        print(f"{planned.said}\n{done.said}", file=sys.stderr)
        row = [trial.clone.name, git(before, "rev-parse", "--short=10", "HEAD"), *counted(planned)]
        by = [f"`--reference` made by `{trial.reference_by}`"] if trial.reference_by else []
        row += [", ".join([*shown(trial.options), *by]) or "none", proof(done), *(["-"] * 3)]
        faults: list[str] = []
        if done.code == 0:
            row[-3], faults = base(top)
            row[-2] = f"{done.seconds:.0f} s ({done.cpu:.0f} s of CPU), {done.memory:.0f} MB"
            if trial.new_database:
                row[-1], fault = new_databases(trial, at, before, top)
                faults += [fault] if fault else []
    for line in (COLUMNS, ("---",) * len(COLUMNS), row):
        print(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |")
    for fault in faults:
        print(f"not as it should be: {fault}", file=sys.stderr)
    return FAULTS if faults else done.code


def read_options(words: Sequence[str] | None) -> Trial:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path, help="a clone of the project; it is cloned again and not changed")
    parser.add_argument("--commit", default="HEAD", help="the commit to squash at")
    parser.add_argument("--bin", type=Path, default=Path(sys.executable).parent, help="its environment's programs")
    parser.add_argument("--cwd", default=".", help="where in the clone the commands run")
    parser.add_argument("--path", action="append", help="directory of the clone that holds its code (default: .)")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=TEMPLATE", help="variables for its commands"
    )
    parser.add_argument("--new-database", metavar="COMMAND", help="how it makes a new database: timed before and after")
    parser.add_argument("--new-before", metavar="COMMAND", help="the same, where before it is another command")
    parser.add_argument("--reference-by", metavar="COMMAND", help="makes the database that --reference names")
    parser.add_argument("--times", type=int, default=3, help="the best of so many, before and after by turns")
    mine, options = _parted(sys.argv[1:] if words is None else words)
    given = parser.parse_args(mine)
    return Trial(
        given.clone.resolve(), given.commit, given.bin.absolute(), given.cwd, tuple(given.path or ["."]),
        dict(one.split("=", 1) for one in given.env), tuple(options), given.new_database, given.new_before,
        given.reference_by,
        given.times,
    )  # fmt: skip


def _parted(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is before and after ``--`` (argparse would give it to no option list that follows an argument)."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def checked_out(trial: Trial, top: Path) -> None:
    """A clone of the clone, with a branch at the commit."""
    git(top.parent, "clone", "--quiet", "--no-checkout", str(trial.clone), str(top))
    commit = git(trial.clone, "rev-parse", f"{trial.commit}^{{commit}}")
    git(top, "checkout", "--quiet", "-B", "trial", commit)
    git(top, "config", "user.name", "Trial")
    git(top, "config", "user.email", "trial@example.com")


class OwnServer:
    """A server for the databases that are no business of the squash: yields a function that makes an empty one."""

    def __init__(self, directory: Path) -> None:
        self.server = server.start(str(directory), owner_pid=os.getpid())

    def __enter__(self) -> OwnServer:
        return self

    def __call__(self, name: str) -> Address:
        ours = Address(self.server.host, self.server.port, self.server.user, self.server.password)
        with client.connect(ours) as connection, connection.usual_path():
            connection.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.run(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return ours.at(name)

    def schema(self, address: Address) -> list[str]:
        """The database's schema as pg_dump prints it, without the lines that are different in each dump."""
        argv = [str(self.server.binaries.bin / "pg_dump"), "--schema-only", "--no-owner", address.database]
        environment = {**os.environ, **address.environment()}
        text = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
        return [line for line in text.splitlines() if line and not re.match(r"--|\\(un)?restrict ", line)]

    def __exit__(self, *_: object) -> None:
        server.stop(self.server.home)


def run(argv: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]) -> Ran:
    """Run a command to its end; any exit code."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        started = time.monotonic()
        process = subprocess.Popen([*map(str, argv)], cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT)  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        output.seek(0)
        # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / unit
        return Ran(process.returncode, output.read(), seconds, cpu, memory)


def git(cwd: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


# --- the cells ---------------------------------------------------------------------------------------------------


def counted(planned: Ran) -> list[str]:
    """R, and the number of migrations before and after, as the plan says them."""
    revision = re.search(r"(?m)^ +R, the new base +(\S+)", planned.said)
    goes = re.search(r"(?m)^ +goes +(\d+) migrations", planned.said)
    stays = re.search(r"(?m)^ +stays +(\d+) migrations", planned.said)
    if not (revision and goes and stays):
        return ["-", "-"]
    return [f"`{revision.group(1)}`", f"{int(goes.group(1)) + int(stays.group(1))} → {1 + int(stays.group(1))}"]


def shown(options: Sequence[str]) -> Iterator[str]:
    """The options as a user would type them, without R and without an address, which may hold a password."""
    words = iter(options)
    for word in words:
        value = next(words, "") if word.startswith("--") and word not in ("--no-merge",) and "=" not in word else ""
        if word not in ("--rev", "--server", "--reference"):
            yield f"`{' '.join([word, shlex.quote(value)] if value else [word])}`"


def proof(done: Ran) -> str:
    """What `squash` says it has shown, or the first words of why not."""
    compared = {what: f"{objects} objects and {rows} rows" for what, objects, rows in SAME.findall(done.said)}
    if done.code == 0 and compared:
        at_base, *_, at_head = compared.values()
        return f"0: {len(compared)} comparisons without a difference, of {at_base} at R, {at_head} at the head"
    lines = [line.strip() for line in done.said.splitlines() if line.strip()]
    at = next((i for i, line in enumerate(lines) if line.startswith("everything was put back")), -1)
    said = [line for line in lines[at + 1 :] if not line.startswith("warning: ")] or ["nothing was said"]
    # What the application or the database said, where the sentence introduces it.
    return f"{done.code}: {said[0]}{said[1].lstrip('|') if said[0].endswith(':') and said[1:] else ''}"


def base(top: Path) -> tuple[str, list[str]]:
    """How long the base migration is, and how much of it is operations, counted from the commit itself; and the SQL in
    it that an operation says as well.
    """
    changed = [
        line.split("\t") for line in git(top, "diff", "--name-status", "--no-renames", "HEAD^", "HEAD").splitlines()
    ]
    path = next(path for status, path in changed if status == "M" and path.endswith(".py"))
    old = sum(len(git(top, "show", f"HEAD^:{one}").splitlines()) for status, one in changed if one.endswith(".py"))
    text = git(top, "show", f"HEAD:{path}")
    upgrade = native.read(text)
    blunt = upgrade.blunt(upgrade.odd_tables())
    said = f", of which {len(blunt)} an operation could say" if blunt else ""
    return (
        f"{old:,} → {len(text.splitlines()):,} lines, {upgrade.share:.1%} operations "
        f"({len(upgrade.executed)} op.execute{said})"
    ), [f"an operation could say: {one}" for one in blunt]


def new_databases(trial: Trial, at: OwnServer, before: Path, after: Path) -> tuple[str, str]:
    """Seconds that a new database takes, old and new by turns, and whether pg_dump prints both alike.

    Second comes what is not as it should be, or nothing.
    """
    best: dict[Path, float] = {}
    schemas: dict[Path, list[str]] = {}
    for _ in range(trial.times):
        for top in (before, after):
            address = at("fresh")
            words = (trial.new_before if top == before else None) or trial.new_database or ""
            done = run(shlex.split(filled(words, address)), top / trial.cwd, trial.environment(top, address))
            if done.code:
                print(done.said, file=sys.stderr)
                when = "after" if top == after else "before"
                failed = f"`{words}` ended with exit code {done.code} {when} the squash"
                return failed, failed
            best[top] = min(done.seconds, best.get(top, done.seconds))
            schemas[top] = at.schema(address)
    alike = schemas[before] == schemas[after]
    same = "pg_dump prints them alike" if alike else "PG_DUMP PRINTS THEM DIFFERENTLY"
    other = f" (before: `{trial.new_before}`)" if trial.new_before else ""
    return f"{best[before]:.1f} → {best[after]:.1f} s{other}; {same}", "" if alike else same


if __name__ == "__main__":
    sys.exit(main())
