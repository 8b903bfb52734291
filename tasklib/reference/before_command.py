"""`--before`: a command of the user's that runs first on the empty scratch database, where migrations begin later."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasklib import console, shell
from tasklib.command import programs, watch
from tasklib.command.project_command import READ_ONLY
from tasklib.errors import Failed, Refused
from tasklib.history.chains import Chain
from tasklib.history.cut import History
from tasklib.postgres import client, version_table
from tasklib.reference import side_effects, version_row
from tasklib.reference.targets import learn
from tasklib.repository import status
from tasklib.workbench import groundwork, inplace
from tasklib.workbench.bench import Bench
from tasklib.workbench.plan import Plan

SEEN_SECONDS = 5.0  # until the server's statistics tell of a session that has ended


def shown(plan: Plan) -> str:
    """The command as people type it."""
    return shlex.join(plan.settings.before)


def find_program(words: Sequence[str], cwd: Path, top: Path) -> tuple[str, ...]:
    """The command with its program resolved as the project's own is; `Refused` where there is none."""
    try:
        return programs.find_program(tuple(words), cwd, top)
    except Refused:
        raise Refused(
            f"--before names the program {words[0]!r}, which is neither there, nor in a virtual environment of this "
            "project, nor on PATH.",
            "install it, or give its path: --before 'PATH/TO/bin/flask create-db'; a shell's words need a shell: "
            "--before \"sh -c '…'\"",
        ) from None


def run(bench: Bench, chain: Chain, apart: float, *roles: str) -> None:
    """Run the command on these empty databases, one after the other, begun at least ``apart`` seconds apart.

    The old chain is in the work tree meanwhile: such commands often stamp what they find there. Raises `Failed` where
    the command fails, `Refused` where it goes elsewhere, leaves files in the tree, or leaves the database past R.
    """
    before = set(status.dirty(bench.repository))
    history = chain.history
    gone = [history.migrations[one].path for one in bench.plan.gone]
    started = 0.0
    with inplace.old_chain(bench.repository, bench.plan.tip, gone):
        _refuse_other_database(bench, roles[0])
        for role in roles:
            time.sleep(max(0.0, apart - (time.monotonic() - started)))
            started = time.monotonic()
            bench.make_room()
            _run(bench, role)
            side_effects.refuse_written_beside(bench, role, f"`{shown(bench.plan)}` writes", bare=True)
            refuse_wrong_version(bench, history, role)
    left = sorted(set(status.dirty(bench.repository)) - before)
    if left:
        raise Refused(
            f"`{shown(bench.plan)}` left files in the work tree, or changed some there: {', '.join(left[:5])}. They "
            "are left alone.",
            "make it write elsewhere, or have git ignore them (.gitignore)",
        )
    for role in roles:
        version_row.renew(bench, chain, role)
        bench.lay_groundwork(role)


def _started(bench: Bench, role: str, variables: Mapping[str, str]) -> shell.Result:
    """Run the command as the project's own is run, with these variables besides; any exit code comes back."""
    words = find_program(bench.plan.settings.before, bench.cwd, bench.repository.top)
    command, targets = bench.command(), bench.targets(role)
    assert command.watch is not None
    with command.watch.record() as record:
        environment = {**command.environment(targets, record), **variables}
        result = shell.run(words, cwd=bench.cwd, env=environment, ok=None, fence=command.fence(targets))
        learn(bench, watch.read(record))
    return command.masked(result, targets)


def _run(bench: Bench, role: str) -> None:
    result = _started(bench, role, {})
    # psql goes on after an error, and ends with 0: half of a file would be the truth.
    half = re.findall(r"(?m)^psql:.*\bERROR: .*$", result.stderr)
    if result.code or half:
        lines = half[-6:] if half else (result.stderr.strip() or result.stdout.strip()).splitlines()[-12:]
        raise Failed(
            f"`{shown(bench.plan)}` failed on an empty scratch database (exit code {result.code}). It said:\n  | "
            + ("\n  | ".join(lines) or "nothing"),
            "it runs as the project's command does: in the same directory, with the same variables",
        )
    with client.connect(bench.address(role), read_only=True) as connection:
        if not connection.rows(groundwork.ANYTHING):
            raise Refused(
                f"`{shown(bench.plan)}` ended without an error and made nothing in the scratch database.",
                "leave --before out where the migrations begin from nothing",
            )


def _refuse_other_database(bench: Bench, role: str) -> None:
    """`Refused` where the command, which may only read meanwhile, does not come to the scratch database."""
    bench.create(role, bare=True)  # anew, so that no session was counted yet
    result = _started(bench, role, READ_ONLY)
    until = time.monotonic() + SEEN_SECONDS
    while not _sessions(bench, role):
        if time.monotonic() > until:
            lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-6:]
            raise Refused(
                f"`{shown(bench.plan)}` does not come to the scratch database: it was run read only first, and "
                f"ended with exit code {result.code} without a session there. It said:\n  | "
                + ("\n  | ".join(lines) or "nothing"),
                "--set NAME={url} for the variable that it reads its database URL from",
            )
        time.sleep(0.05)
    bench.create(role, bare=True)


def _sessions(bench: Bench, role: str) -> int:
    """How often somebody connected to a database, as far as the server's statistics have it by now."""
    database = bench.address(role).database
    with client.connect(bench.maintenance(role)) as connection:
        # `sessions` is there from PostgreSQL 14 on; before, each session shows by its transactions.
        what = "sessions" if connection.major() >= 14 else "xact_commit + xact_rollback"
        return int(connection.value(f"SELECT {what} FROM pg_stat_database WHERE datname = %s", [database]) or 0)


def refuse_wrong_version(bench: Bench, history: History, role: str) -> None:
    """`Refused` where the version table names a revision that the old chain to R does not go through."""
    tables = bench.version_tables()
    found = version_table.versions(bench.address(role), tables)
    revision = bench.plan.revision
    wrong = sorted(found - history.ancestors(revision) - {revision})
    if not wrong:
        if role == "first":
            console.note(f"    it left the database {f'at {min(found)}' if found else 'without a revision'}")
        return
    if wrong[0] not in history.migrations:
        raise Refused(
            f"`{shown(bench.plan)}` left the database at {', '.join(wrong)}, which no file of the script directory has."
        )
    legal = [one for one in wrong if history.legal(one)]
    raise Refused(
        f"`{shown(bench.plan)}` left the database at {', '.join(wrong)}, which is past {revision}: it makes the tables "
        f"of a later revision, and what stood there at {revision} cannot be told from them.",
        f"--rev {legal[0]} squashes up to there; or --reference URL, a database that is at {revision}"
        if len(wrong) == 1 and legal
        else f"--reference URL, a database that is at {revision}",
    )
