"""Writes the base migration from the reference, and repeats with more DDL until the candidate is the reference."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasklib import (
    catalog,
    compare,
    console,
    postgres,
    probe,
    programs,
    pycode,
    replay,
    rows,
    sources,
    tables,
    template,
    values,
)
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.compare import Verdict
from tasklib.errors import Differs, Failed, Refused, SquashError
from tasklib.history import Cut
from tasklib.pycode import Items, string
from tasklib.render import Key, Rows, Writer
from tasklib.schema import Difference, report

CREDENTIAL = re.compile(
    r"(^|_)(passwd|pwd|pw|token|secret|salt|hash|key|otp|pin)s?(_|$)|password|passphrase|credential|apikey|pwhash",
    re.IGNORECASE,
)
ROUNDS = 8

GUARD = '''

def refuse_to_lose_rows():
    """Stop before anything is dropped where a table holds more rows than upgrade() made."""
    if context.is_offline_mode():
        return
    if os.environ.get("ALEMBIC_SQUASH_DOWNGRADE") == "drop":
        return
    if context.get_x_argument(as_dictionary=True).get("squash_downgrade") == "drop":
        return
    for table, count in ROWS.items():
        # Counts one row too many and stops: cheap on tables of any size.
        some = f"SELECT 1 FROM ONLY {table} LIMIT {count + 1}"
        query = sa.text(f"SELECT count(*) FROM ({some}) AS found")
        if op.get_bind().execute(query).scalar() > count:
            raise RuntimeError(
                f"{table} holds rows that this migration did not insert, and its downgrade "
                "drops every table. To drop them all the same: -x squash_downgrade=drop, "
                "or ALEMBIC_SQUASH_DOWNGRADE=drop in the environment."
            )
'''

DATABASE_TYPE = '''

class DatabaseType(sa.types.UserDefinedType):
    """A type by PostgreSQL's own name; its values are text in PostgreSQL's own form."""

    cache_ok = True

    def __init__(self, name):
        self.name = name

    def get_col_spec(self, **kw):
        return self.name

    def bind_expression(self, bindvalue):
        return sa.cast(sa.type_coerce(bindvalue, sa.Text()), self)

    def literal_processor(self, dialect):
        return lambda value: "'" + value.replace("'", "''") + "'"
'''


@dataclass(frozen=True)
class File:
    """The text of a base migration; ``spans`` says which lines (first, last) make which object."""

    text: str
    spans: tuple[tuple[int, int, Key], ...]

    @property
    def digest(self) -> str:
        return digest(self.text)


@dataclass(frozen=True)
class Reference:
    """All that the file is made from, read once."""

    snapshot: catalog.Snapshot
    model: tables.Model
    rows: tuple[Rows, ...]
    counts: Mapping[tuple[str, str], int]
    positions: Mapping[tuple[str, str], tuple[int, bool]]
    populated: tuple[tuple[str, str], ...] = field(default=())
    left_out: frozenset[tuple[str, str]] = field(default=frozenset())


def looks_secret(column: str) -> bool:
    """Whether a column's name says credential: password_hash, apiKey, authToken …"""
    return CREDENTIAL.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)) is not None


def digest(text: str) -> str:
    """What the plan keeps of a file to see later whether somebody edited it."""
    return hashlib.sha256(text.encode()).hexdigest()


def write(bench: Bench) -> File:
    """Write the base migration into R's own file; `Differs` where it does not converge on the reference."""
    cut = bench.cut()
    replay.ensure_replayed(bench)
    reference = read_reference(bench)
    refuse_credentials(bench, reference)
    sqlalchemy = programs.sqlalchemy_version(bench.command().words, bench.cwd)
    ddl: frozenset[Key] = frozenset()
    for round_ in range(1, ROUNDS + 1):
        file = assemble(bench, cut, reference, sqlalchemy, ddl)
        bench.base.parent.mkdir(parents=True, exist_ok=True)
        bench.base.write_text(file.text, encoding="utf-8")
        # Before it is known to be right: so a later try knows that the file is ours.
        bench.save(replace(bench.plan, written=file.digest))
        with console.doing(
            f"draft {round_}: {len(file.text.splitlines())} lines, {len(ddl)} objects as DDL by comparison"
        ):
            tree = bench.repository.work_tree_as_tree(bench.places)
            chain = bench.chain("new", tree)
            bench.create("candidate")
            probe.prove_connections(bench, chain, "candidate")
            probe.prove_chain(bench, chain, "candidate")
            more, verdict = _try(bench, chain, file, ddl, reference.left_out)
        differences = verdict.found if verdict else ()
        if verdict and not differences and not more:
            bench.at_base = (tree, verdict)
            return file
        if not more - ddl:
            break
        ddl |= more
    raise Differs(
        "The base migration could not be brought to make the reference. What is left:\n"
        + report(differences, "reference", "candidate"),
        "this is a gap of this program: please report the objects above",
    )


def _try(
    bench: Bench, chain: Chain, file: File, ddl: frozenset[Key], left_out: frozenset[tuple[str, str]]
) -> tuple[set[Key], Verdict | None]:
    """Build the candidate with this file; the objects that must become DDL, and the verdict where it could be built."""
    try:
        replay.arrive(bench, chain, "candidate", bench.plan.revision, "The base migration failed")
    except Failed as error:
        culprit = _culprit(error, chain, file, bench.plan.revision)
        if culprit is None or culprit in ddl or culprit[0] not in ("TABLE", "INDEX", "FK CONSTRAINT"):
            raise
        return {culprit}, None
    # To the letter, volatile columns too: the file was written from this very reference.
    verdict = compare.databases(bench, "reference", "candidate", {}, left_out)
    return {key for d in verdict.found for key in fallbacks(d)}, verdict


def _culprit(error: SquashError, chain: Chain, file: File, revision: str) -> Key | None:
    """The object whose lines a failed upgrade was in."""
    name = chain.file(revision).name
    for line in reversed(re.findall(rf'{re.escape(name)}", line (\d+)', error.text)):
        for first, last, key in file.spans:
            if first <= int(line) <= last:
                return key
    return None


def fallbacks(difference: Difference) -> set[Key]:
    """What must be written as DDL because of a difference; empty where nothing would help."""
    kind, schema, name = difference.key
    if kind == "TABLE":
        left, right = (difference.left or "").splitlines(), (difference.right or "").splitlines()
        differing = set(left) ^ set(right)
        checks = [re.match(r'\s+CONSTRAINT ("(?:[^"]|"")+"|\w+) CHECK', line) for line in differing]
        if differing and all(checks):
            return {("CHECK", schema, f"{name} {match.group(1).strip(chr(34))}") for match in checks if match}
        return {("TABLE", schema, name)}
    if kind == "DEFAULT":
        return {("TABLE", schema, name.split(" ")[0])}
    if kind == "SEQUENCE OWNED BY":
        return {("SEQUENCE", schema, name)}
    return {difference.key} if kind in ("COMMENT", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "SEQUENCE") else set()


# --- reading -----------------------------------------------------------------------------------------------------


def read_reference(bench: Bench) -> Reference:
    """Schema, tables, rows and sequences of the reference."""
    address = bench.address("reference")
    snapshot = catalog.snapshot(address, bench.binaries(), bench.work)
    wanted = compare.data_filter(bench.plan.settings.data)
    version = {(schema or "public", name) for schema, name in sources.version_tables(bench.repository, bench.plan.tip)}
    with postgres.connect(address, read_only=True) as connection:
        listed = [t for t in catalog.tables(connection) if (t.schema, t.name) not in version]
        model = tables.read_model(connection)
        counts = {(t.schema, t.name): rows.count(connection, t) for t in listed if t.kind == "r"}
        compare.refuse_unknown_tables(bench.plan.settings.data, listed)
        ours = {e.key for e in snapshot.entries}
        found: list[Rows] = []
        left_out: set[tuple[str, str]] = set()
        for table in listed:
            key = (table.schema, table.name)
            if table.kind != "r" or not counts[key] or ("TABLE", *key) not in ours:
                continue
            if wanted(table):
                found.append(Rows(model.tables[key], tuple(values.read(connection, model.tables[key]))))
            else:
                left_out.add(key)
        positions = catalog.sequences(connection)
        populated = tuple((t.schema, t.name) for t in listed if t.kind == "m")
    return Reference(snapshot, model, tuple(found), counts, positions, populated, frozenset(left_out))


def refuse_credentials(bench: Bench, reference: Reference) -> None:
    """`Refused` where a volatile column that looks like a credential would become one constant for everybody."""
    volatile = replay.volatile(bench, "base")
    kept = set(bench.plan.settings.keep_value)
    carried = {(one.table.schema, one.table.name) for one in reference.rows}
    names = rows.names({key: columns for key, columns in volatile.items() if key in carried})
    suspicious = [n for n in names if looks_secret(n.split(".")[-1]) and n not in kept]
    if suspicious:
        first = suspicious[0]
        raise Refused(
            f"The column {first} holds another value in each run of the old chain and looks like a credential"
            + (f" (so do {', '.join(suspicious[1:])})" if suspicious[1:] else "")
            + ". In the base migration it would become one constant, the same in every new database, readable in git.",
            f"--keep-value {first} if that is harmless, or a list of tables without "
            f"{first.rsplit('.', 1)[0]} for --data",
        )
    for one in reference.rows:
        shown = catalog.Table(one.table.schema, one.table.name, "r", ()).shown
        for column in one.table.columns:
            # A column named just "key" is a setting's or a word's name far more often than a secret.
            if (
                column.name != "key"
                and looks_secret(column.name)
                and column.type.startswith(("character", "text", "bytea"))
            ):
                console.warn(
                    f"{shown}.{column.name} looks like a credential; "
                    f"its {len(one.rows)} rows will be in the base migration"
                )


# --- the file ----------------------------------------------------------------------------------------------------


def assemble(bench: Bench, cut: Cut, reference: Reference, sqlalchemy: tuple[int, ...], ddl: frozenset[Key]) -> File:
    """The text of the base migration; the same input gives the same bytes."""
    plan = bench.plan
    version_tables = sources.version_tables(bench.repository, plan.tip)
    writer = Writer(
        reference.snapshot.entries, reference.model, reference.rows, reference.positions, reference.populated,
        version_tables, sqlalchemy, ddl, reference.snapshot.facts,
    )  # fmt: skip
    items = writer.items()
    body: list[str] = []
    group = ""
    spans: list[tuple[int, int, Key]] = []
    for item in items:
        if not item.up:
            continue
        if item.group != group:
            group = item.group
            body += ["", f"    # {group}"] if body else [f"    # {group}"]
        spans.append((len(body) + 1, len(body) + len(item.up), item.key))
        body += item.up
    down = [line for item in reversed(items) for line in item.down]
    head = _head(bench, cut, reference, writer.used)
    text = "\n".join([*head, "def upgrade():", *(body or ["    pass"]), "", "", "def downgrade():",
                      "    refuse_to_lose_rows()", *down]) + "\n"  # fmt: skip
    offset = len(head) + 1
    return File(text, tuple((first + offset, last + offset, key) for first, last, key in spans))


def _head(bench: Bench, cut: Cut, reference: Reference, used: set[str]) -> list[str]:
    plan = bench.plan
    major = (plan.replayed or {}).get("major")
    original = bench.repository.read(plan.tip, plan.base_path)
    created = re.search(r"(?m)^Create Date: .+$", original)
    message = cut.revision.message or f"base {plan.revision}"
    mako = f"{plan.layout.script}/script.py.mako"
    held = {entry.path for entry in bench.repository.files(plan.tip, plan.layout.script)}
    lines = [
        *template.header(bench.repository.read(plan.tip, mako) if mako in held else "", original),
        f'"""{_docstring(message)}',
        "",
        f"The base of this history: replaces {len(cut.gone)} migrations, {cut.gone[0].id} to {plan.revision}.",
        f"Originals: git commit {plan.tip}",
        f"Made from their replay and proven equal to it on PostgreSQL {major} by alembic-squash.",
        "",
        f"Revision ID: {plan.revision}",
        "Revises:",
        *([created.group(0)] if created else []),
        '"""',
        "",
        "import os",
        "",
        "import sqlalchemy as sa",
        "from alembic import context, op",
        *(["from sqlalchemy.dialects import postgresql"] if "postgresql" in used else []),
        "",
        f"revision = {string(plan.revision)}",
        "down_revision = None",
        *pycode.render(_labels(cut.labels), 0, "branch_labels = "),
        *pycode.render(_labels(_kept_dependencies(cut)), 0, "depends_on = "),
        "",
        "# Every table that upgrade() makes, and how many rows it puts there.",
        *pycode.render(_row_counts(reference, bench), 0, "ROWS = "),
    ]
    lines += (
        (DATABASE_TYPE if "DatabaseType" in used else "").rstrip("\n").split("\n") if "DatabaseType" in used else []
    )
    lines += GUARD.rstrip("\n").split("\n")
    return [*lines, "", ""]


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _labels(labels: Sequence[str]) -> str | Items:
    if not labels:
        return "None"
    return string(labels[0]) if len(labels) == 1 else Items([string(label) for label in labels], "()")


def _kept_dependencies(cut: Cut) -> tuple[str, ...]:
    """What R and its ancestors depend on goes with them; a base depends on nothing."""
    kept = {migration.id for migration in cut.kept}
    return tuple(sorted({d for migration in cut.gone for d in migration.depends_on if d in kept}))


def _row_counts(reference: Reference, bench: Bench) -> Items:
    carried = {(one.table.schema, one.table.name): len(one.rows) for one in reference.rows}
    entries = {e.key for e in reference.snapshot.entries}
    pairs: list[pycode.Node | tuple[str, pycode.Node]] = []
    for key in sorted(reference.counts):
        if ("TABLE", *key) in entries:
            name = postgres.identifier(key[1], key[0] if key[0] != "public" else "")
            plain = re.fullmatch(r'"([a-z_][a-z0-9_]*)"', name)
            pairs.append((string(plain.group(1) if plain and plain.group(1) not in RESERVED else name),
                          str(carried.get(key, 0))))  # fmt: skip
    return Items(pairs, "{}")


# Words that PostgreSQL takes as a table's name only between quotes, where they are likely names.
RESERVED = frozenset(
    [
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "constraint",
        "create",
        "default",
        "desc",
        "do",
        "else",
        "end",
        "except",
        "false",
        "for",
        "foreign",
        "from",
        "grant",
        "group",
        "having",
        "in",
        "initially",
        "intersect",
        "into",
        "leading",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "placing",
        "primary",
        "references",
        "select",
        "session_user",
        "some",
        "symmetric",
        "table",
        "then",
        "to",
        "trailing",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "variadic",
        "when",
        "where",
        "window",
        "with",
    ]
)
