"""The judge itself: whatever is changed, missing or extra in the candidate, it must notice. 100 % of the mutations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tasklib.errors import Failed
from tasklib.judge import catalog, compare, not_dumped, object_counts, rows
from tasklib.judge.catalog import Table
from tasklib.postgres import client
from tasklib.postgres.archive import Entry, without_own_options
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tasklib.project.layout import Layout
from tasklib.repository import git
from tasklib.settings import Settings
from tasklib.workbench.bench import Bench
from tasklib.workbench.plan import Place, Plan
from tests.judge.mutations import ALONE, COMMENTED, MUTATIONS, TRUTH

Mutation = tuple[str, str, str]
ASKED = not_dumped.SILENT


@pytest.fixture(scope="module")
def bench(server: Server, tmp_path_factory: pytest.TempPathFactory, words: Words) -> Iterator[Bench]:
    """A workbench with the truth in its database `reference`."""
    work = tmp_path_factory.mktemp("work")
    layout = Layout("flask", "migrations", ("migrations/versions",), None, ("flask", "db"), ".")
    plan = Plan(
        "r", "main", "tip", "squash-r", "tip", "history", "r.py", (), (), layout, Settings(), "alembic-squash", "main"
    )
    place = Place("f00dcafe", str(work), str(server.home), server.host, server.port, server.user, "postgres", ())
    made = Bench(git.Repository(work, work), plan, detached=True)
    made.save(Plan(**{**plan.__dict__, "place": place}))
    made.create("reference")
    run(made, "reference", words.fill(TRUTH))
    yield made
    made.drop(*made.place().names)


@dataclass(frozen=True)
class Words:
    """What the server decides, for the braces in the data."""

    extension: str
    other: str | None
    member: str
    printed: str
    role: str

    def fill(self, text: str) -> str:
        for name, word in asdict(self).items():
            text = text.replace(f"{{{name}}}", word or f"{{{name}}}")
        return text


@pytest.fixture(scope="session")  # a worker may come back to this module
def words(server: Server) -> Words:
    """Extensions that this server has: a wheel brings only one. And a role, which lives in the server."""
    address = Address(server.host, server.port, server.user, server.password)
    role = "judged"
    with client.connect(address) as connection:
        wanted = "SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'hstore', 'vector') ORDER BY name"
        names = [str(name) for (name,) in connection.rows(wanted)]
        connection.run(f"CREATE ROLE {role}")
        with connection.usual_path():
            connection.run(f"CREATE EXTENSION {names[0]}")
        # As pg_dump says it, with an empty search_path.
        found = connection.rows(
            "SELECT p.proname, pg_get_function_identity_arguments(p.oid) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid"
            " WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refobjid ="
            " (SELECT oid FROM pg_extension WHERE extname = %s) AND p.prokind = 'f' AND p.proname ~ '_eq$' ORDER BY 1",
            [names[0]],
        )
        connection.run(f"DROP EXTENSION {names[0]}")
    printed = f"{found[0][0]}({found[0][1]})"
    return Words(names[0], names[1] if len(names) > 1 else None, printed.replace("public.", ""), printed, role)


# Lower-case words of the data's SQL that are no object's name.
COMMON = frozenset(
    (
        *("integer", "bigint", "text", "numeric", "boolean", "btree", "id", "a", "b", "c", "i", "t", "x", "n"),
        *("format", "current_database", "judged", "touch"),
    )
)


def _batches(mutations: list[Mutation]) -> list[list[Mutation]]:
    """Mutations that one candidate can bear: no two that speak of one object."""
    batches: list[tuple[set[str], list[Mutation]]] = []
    for mutation in mutations:
        names = set(re.findall(r"[a-z_][a-z0-9_]*", mutation[1])) | {mutation[2]}
        names = {mutation[0]} if mutation[0] in ALONE else names - COMMON
        fitting = (batch for batch in batches if not names & batch[0] and not {*ALONE} & (names | batch[0]))
        known, batch = next(fitting, (set(), []))
        if not batch:
            batches.append((known, batch))
        known |= names
        batch.append(mutation)
    return [batch for _, batch in batches]


def run(bench: Bench, role: str, statements: str) -> None:
    with client.connect(bench.address(role)) as connection, connection.usual_path():
        connection.run(statements)


def test_a_copy_of_the_truth_is_the_same(bench: Bench) -> None:
    bench.create("candidate", template="reference")
    verdict = compare.databases(bench, "reference", "candidate", {})
    assert verdict.found == ()
    assert verdict.objects > 70 and verdict.tables >= 7 and verdict.rows >= 8 and verdict.sequences >= 4


def test_every_mutation_is_noticed_by_the_name_of_its_object(bench: Bench, words: Words) -> None:
    comments = [(f"comment on {what}", f"COMMENT ON {what} IS NULL", key) for what, key in COMMENTED]
    filled = [(name, words.fill(text), words.fill(key)) for name, text, key in (*MUTATIONS, *comments)]
    mutations = [one for one in filled if "{other}" not in one[1]]
    survivors = []
    for batch in _batches(mutations):
        bench.create("candidate", template="reference")
        for _, text, _ in batch:
            run(bench, "candidate", text)
        found = compare.databases(bench, "reference", "candidate", {}).found
        named = {f"{d.kind} {d.name}" for d in found} | {d.kind for d in found}
        survivors += [(name, key) for name, _, key in batch if key not in named]
    killed = len(mutations) - len(survivors)
    print(f"\nkill rate: {killed} of {len(mutations)} mutations noticed ({100 * killed / len(mutations):.0f} %)")
    assert survivors == []
    assert len(mutations) > 250


def test_two_empty_databases_prove_nothing(bench: Bench) -> None:
    bench.create("candidate")
    bench.create("deployed")
    with pytest.raises(Failed, match="nothing to compare"):
        compare.databases(bench, "candidate", "deployed", {})


def test_a_definition_that_only_prints_differently_is_the_same(bench: Bench) -> None:
    table = "CREATE TABLE t (s varchar(10)); INSERT INTO t VALUES ('a'); "
    first = "ALTER TABLE t ADD CONSTRAINT c CHECK (s IN ('a', 'b'))"
    printed = "ALTER TABLE t ADD CONSTRAINT c CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))"
    for role, check in (("candidate", first), ("deployed", printed)):
        bench.create(role)
        run(bench, role, table + check)
    assert compare.databases(bench, "candidate", "deployed", {}).found == ()


def test_a_volatile_column_is_compared_by_all_but_its_value(bench: Bench) -> None:
    volatile = {("public", "child"): frozenset({"other_id"})}
    bench.create("candidate", template="reference")
    run(bench, "candidate", "UPDATE child SET other_id = 77 WHERE id = 2")
    assert compare.databases(bench, "reference", "candidate", volatile).found == ()
    run(bench, "candidate", "UPDATE child SET other_id = NULL WHERE id = 2")
    assert [d.name for d in compare.databases(bench, "reference", "candidate", volatile).found] == ["child"]


@pytest.mark.parametrize("count", [200_000])
def test_a_large_table_is_compared_without_being_held_in_memory(bench: Bench, count: int, tmp_path: Path) -> None:
    import tracemalloc

    bench.create("candidate")
    run(bench, "candidate", f"CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, {count}) i")
    bench.create("deployed", template="candidate")
    run(bench, "deployed", f"UPDATE t SET m = 'x' WHERE i = {count}")
    tracemalloc.start()
    verdict = compare.databases(bench, "candidate", "deployed", {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [d.kind for d in verdict.found] == ["ROWS"]
    assert peak < 20 * 2**20


# What is taken out of the comparison itself, on both sides alike: nothing that is compared may then be called equal.
def test_a_comparison_that_loses_an_object_on_both_sides_is_noticed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create("candidate", template="reference")
    dump = client.dump
    for kind in sorted({entry.kind for entry in dump(bench.address("reference"), bench.binaries(), bench.work)}):
        if kind in object_counts.CLASSES:

            def without_one(*given: Any, kind: str = kind) -> tuple[Entry, ...]:
                entries = dump(*given)
                lost = next(entry for entry in entries if entry.kind == kind)
                return tuple(entry for entry in entries if entry is not lost)

            monkeypatch.setattr(client, "dump", without_one)
            assert noticed(bench) == [f"{kind} (truth)", f"{kind} (other)"]


def noticed(bench: Bench) -> list[str]:
    found = compare.databases(bench, "reference", "candidate", {}).found
    return [one.name for one in found if one.kind == "NUMBER OF OBJECTS"]


def test_a_question_that_is_not_asked_any_more_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.create("candidate", template="reference")
    with client.connect(bench.address("reference"), read_only=True) as connection, connection.usual_path():
        kinds = {kind for kind, _, _ in not_dumped.facts(connection)} & object_counts.CLASSES.keys() - {"COMMENT"}
    for kind in sorted(kinds):
        monkeypatch.setattr(not_dumped, "SILENT", [one for one in ASKED if one[0] != kind])
        assert noticed(bench) == [f"{kind} (truth)", f"{kind} (other)"]


def test_a_comparison_that_loses_a_table_of_rows_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.create("candidate", template="reference")
    tables = catalog.tables
    monkeypatch.setattr(catalog, "tables", lambda connection: tables(connection)[1:])
    found = compare.databases(bench, "reference", "candidate", {}).found
    assert [d.name for d in found] == [f"{object_counts.ROWS} (truth)", f"{object_counts.ROWS} (other)"]


def test_a_comparison_that_loses_rows_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.create("candidate", template="reference")
    texts = rows._texts

    def without_first(*given: Any) -> Iterator[str]:
        return islice(texts(*given), 1, None)

    monkeypatch.setattr(rows, "_texts", without_first)
    found = compare.databases(bench, "reference", "candidate", {}).found
    assert {d.kind for d in found} == {"NUMBER OF ROWS"}


def test_a_table_with_other_columns_is_a_difference_whatever_else_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create("candidate", template="reference")
    tables = catalog.tables
    # As if the columns of one side had been read otherwise: no object differs, and rows cannot be compared.
    seen: list[int] = []

    def other_columns(connection: Any) -> list[Table]:
        seen.append(1)
        first, *others = tables(connection)
        return [replace(first, columns=first.columns[:-1]), *others] if len(seen) == 1 else [first, *others]

    monkeypatch.setattr(catalog, "tables", other_columns)
    found = compare.databases(bench, "reference", "candidate", {}).found
    assert [(d.kind, d.left) for d in found] == [
        ("ROWS", "not compared: only one side has this table, with these columns")
    ]


def test_the_order_of_columns_is_compared_for_every_kind_of_relation(bench: Bench) -> None:
    made = {
        "a table that inherits": ("CREATE TABLE p (a int); CREATE TABLE r (b int) INHERITS (p); ALTER TABLE p ADD c int",
                                  "CREATE TABLE p (a int, c int); CREATE TABLE r (b int) INHERITS (p)"),
        "a partition": ("CREATE TABLE p (a int, c int) PARTITION BY LIST (a); CREATE TABLE r (c int, a int);"
                        "ALTER TABLE p ATTACH PARTITION r FOR VALUES IN (1)",
                        "CREATE TABLE p (a int, c int) PARTITION BY LIST (a);"
                        "CREATE TABLE r PARTITION OF p FOR VALUES IN (1)"),
        "a table that became a child": ("CREATE TABLE p (a int); CREATE TABLE r (b int, a int); ALTER TABLE r INHERIT p",
                                        "CREATE TABLE p (a int); CREATE TABLE r (a int, b int); ALTER TABLE r INHERIT p"),
        "a foreign table": ("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE TABLE t (i int);"
                            "CREATE FOREIGN TABLE r (a int, b int) SERVER s",
                            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE TABLE t (i int);"
                            "CREATE FOREIGN TABLE r (b int, a int) SERVER s"),
    }  # fmt: skip
    for what, sides in made.items():
        for role, statements in zip(("candidate", "deployed"), sides, strict=True):
            bench.create(role)
            run(bench, role, statements)
        found = {d.name for d in compare.databases(bench, "candidate", "deployed", {}).found}
        assert "r" in found, what


def test_names_that_the_server_gives_to_the_keys_of_partitions_are_compared(bench: Bench) -> None:
    tables = "CREATE TABLE c (i int PRIMARY KEY); CREATE TABLE p (i int) PARTITION BY LIST (i); "
    key = "ALTER TABLE p ADD FOREIGN KEY (i) REFERENCES c; "
    for role, part in (
        ("candidate", "CREATE TABLE q (i int REFERENCES c);"),
        ("deployed", "CREATE TABLE q (i int);"),
    ):
        bench.create(role)
        run(bench, role, f"{tables}{part}{key}ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)")
    found = compare.databases(bench, "candidate", "deployed", {}).found
    assert {(d.what, d.name) for d in found} == {("missing", "q q_i_fkey"), ("extra", "q p_i_fkey")}


def test_what_is_the_same_only_after_a_restore_is_named(bench: Bench) -> None:
    table = "CREATE TABLE t (s varchar(10)); INSERT INTO t VALUES ('a'); ALTER TABLE t ADD CONSTRAINT c CHECK "
    printed = "(((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))"
    for role, check in (("candidate", "(s IN ('a', 'b'))"), ("deployed", printed)):
        bench.create(role)
        run(bench, role, table + check)
    verdict = compare.databases(bench, "candidate", "deployed", {})
    assert verdict.found == ()
    assert [(d.kind, d.name) for d in verdict.reprinted] == [("TABLE", "t")]
    assert "1 TABLE, " in verdict.by_class() and "1 columns of relations" in verdict.by_class()


def test_what_a_restore_loses_is_not_called_a_print(bench: Bench) -> None:
    """A child that is restored takes its parent's storage over: two restores are the same where the tables are not."""
    made = "CREATE TABLE p (c text); CREATE TABLE r () INHERITS (p); ALTER TABLE ONLY p ALTER c SET STORAGE EXTERNAL;"
    for role, last in (("candidate", ""), ("deployed", "ALTER TABLE r ALTER c SET STORAGE EXTERNAL")):
        bench.create(role)
        run(bench, role, made + last)
    verdict = compare.databases(bench, "candidate", "deployed", {})
    assert {(d.kind, d.name) for d in verdict.found} == {("TABLE", "r"), ("COLUMN OF A CHILD", "r c")}
    assert verdict.reprinted == ()


def test_options_of_columns_that_are_the_servers_own_are_none_of_the_dumps() -> None:
    """PostgreSQL 15.20 counts versions of columns there, which a pg_dump that is older prints."""
    own = "ALTER TABLE ONLY public.t ALTER COLUMN {} SET ({});\n"
    table = 'CREATE TABLE public.t (\n    a integer,\n    "b c" integer DEFAULT 1\n);\n'
    given = own.format("a", "n_distinct=5")
    assert without_own_options(table + given) == table + given
    assert without_own_options(table + own.format("a", "pg_attver=22158920, n_distinct=5")) == table + given
    assert without_own_options(table + own.format('"b c"', "pg_attver=22225008") + given) == table + given
    foreign = own.format("a", "pg_attver=1").replace("TABLE ONLY", "FOREIGN TABLE ONLY")
    assert without_own_options(table + foreign) == table


def test_two_databases_whose_columns_have_children_are_the_same_whatever_the_server_counts(bench: Bench) -> None:
    tables = "CREATE TABLE parents (a integer); CREATE TABLE heirs () INHERITS (parents); "
    tables += "ALTER TABLE heirs ALTER a SET (n_distinct = 5)"
    for role, before in (("candidate", ""), ("deployed", "CREATE TABLE more (b integer); DROP TABLE more; ")):
        bench.create(role)
        run(bench, role, before + tables)
    assert compare.databases(bench, "candidate", "deployed", {}).found == ()
    run(bench, "deployed", "ALTER TABLE heirs ALTER a SET (n_distinct = 6)")
    assert compare.databases(bench, "candidate", "deployed", {}).found
