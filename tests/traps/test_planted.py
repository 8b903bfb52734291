"""Every known trap by its number: where a history holds it, and the same trap planted in a base migration, noticed.

For each number there is a test of a real history that the squash brings through, or refuses (`HELD`). Here the traps are
planted in the base migrations of these histories, as a squash from models, from a dump, or by hand would have it, and
`verify` must name each of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import MakePlain
from tests.support.project import VARIABLE, Done, Project, Step, query
from tests.support.traps import ddl
from tests.traps.test_rows import CHANCE, GRAPH, TYPED
from tests.traps.test_schema import COMMON, EXTENSIONS, NAMES, SECURITY, STORAGE

# Number of the trap → tests of histories in which the squash meets it.
_COMMON = "test_types_keys_sequences_defaults_functions_and_views_are_the_old_ones_and_later_migrations_find_them"
_STORAGE = "test_storage_partitions_inheritance_and_publications_are_kept"
_SECURITY = "test_privileges_and_policies_are_on_in_a_new_database"
_NAMES = "test_quoted_unicode_reserved_and_foreign_schema_names_and_comments_come_back"
_VALUES = "test_values_of_all_types_come_back_to_the_letter_and_sequences_stand_where_they_stood"
_ROWS = "test_rows_come_in_the_order_of_their_keys_with_circles_and_rows_that_refer_to_themselves"
_LARGE = "test_rows_of_large_tables_are_in_data_files_that_the_migration_loads_from_beside_itself"
_GRAPH = "test_a_history_of_several_bases_merges_dependencies_labels_and_heads_is_squashed_at_a_merge"
_BEHIND = "test_a_database_behind_r_or_on_both_sides_of_a_merge_is_shown_by_plans_sql_and_loses_nothing"
HELD: dict[int, tuple[str, ...]] = {
    1: (_COMMON,),
    2: (_COMMON,),
    3: (_COMMON,),
    4: (_COMMON,),
    5: (_COMMON, "test_what_every_revision_file_begins_with_begins_the_base_too"),
    6: ("test_extensions_and_what_uses_them_come_back_or_are_named_where_the_server_has_none",),
    7: (_NAMES, "test_the_ways_of_env_py_and_of_migrations_need_no_option_but_the_settings_that_they_read"),
    8: (_COMMON,),
    9: (_COMMON,),
    10: (_COMMON,),
    11: (_COMMON,),
    12: (_STORAGE,),
    13: (_COMMON,),
    14: (_COMMON, "test_indexes_and_keys_of_newer_servers_come_back"),
    15: (_COMMON,),
    16: (_COMMON,),
    17: (_COMMON, "test_indexes_and_keys_of_newer_servers_come_back"),
    18: (_COMMON,),
    19: (_STORAGE, "test_the_ways_of_env_py_and_of_migrations_need_no_option_but_the_settings_that_they_read"),
    20: (_SECURITY,),
    21: (_NAMES, _COMMON),
    22: (_COMMON, "test_the_ways_of_env_py_and_of_migrations_need_no_option_but_the_settings_that_they_read"),
    23: (_ROWS, "test_rows_that_a_kept_migration_makes_of_rows_that_were_left_out_are_missed"),
    24: (_VALUES,),
    25: ("test_values_of_chance_become_constants_that_are_named_and_so_are_rows_left_out",
         "test_a_volatile_credential_is_refused_until_somebody_decides"),
    26: (_VALUES,),
    27: (_ROWS,),
    28: (_LARGE,),
    29: (_BEHIND, "test_a_database_that_is_not_exactly_at_r_is_refused_with_what_was_found"),
    30: ("test_downgrade_loses_no_row_that_the_base_did_not_insert_unless_somebody_insists_and_counts_no_table",),
    31: ("test_a_cut_that_is_not_clean_is_refused_with_the_nearest_that_is",
         "test_a_kept_revision_on_an_ancestor_of_r_is_refused_and_the_nearest_legal_r_named",
         "test_a_kept_revision_that_depends_on_an_ancestor_of_r_is_refused"),
    32: ("test_a_merge_point_becomes_a_base_that_carries_the_label_beside_another_base_that_stays", _GRAPH),
    33: (_GRAPH, _BEHIND),
    34: ("test_a_kept_migration_that_imports_one_that_goes_is_named_and_nothing_is_merged",),
    35: ("test_models_that_say_everything_are_merged_with_a_merge_commit_and_keep_the_later_migrations",
         "test_what_somebody_commits_meanwhile_is_merged_and_proven_with_it"),
    36: ("test_the_recipe_by_hand_in_its_own_order_each_step_twice_and_status_names_the_next",
         "test_abort_with_databases_and_a_draft_puts_everything_back"),
    37: ("test_an_absolute_migrate_directory_below_a_manage_py_runs_the_chain_that_is_meant",
         "test_a_package_that_is_installed_from_another_checkout_gives_no_false_proof",
         "test_code_that_is_installed_from_another_checkout_is_no_proof_for_this_one"),
    38: ("test_an_app_that_reads_another_variable_is_led_and_its_database_is_not_written_to",
         "test_an_address_from_anywhere_is_led_without_a_word"),
    39: ("test_a_version_table_with_another_name_is_neither_made_nor_dropped_by_the_base",
         "test_the_ways_of_env_py_and_of_migrations_need_no_option_but_the_settings_that_they_read"),
    40: (_COMMON, "test_an_async_project_is_squashed_and_nothing_else_is_reached"),
    41: ("test_roles_that_a_history_makes_are_made_by_the_base_and_compared_in_clusters_of_their_own",
         "test_what_belongs_to_the_server_and_is_no_role_is_refused_before_it_is_run"),
    42: ("test_an_app_that_imports_a_file_which_git_ignores_is_squashed_where_it_stands",),
}  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """A trap in a base migration: SQL that its upgrade() ends with, or other text in the place of what it says.

    ``named`` is what the report says: a line that begins so, where the databases differ.
    """

    trap: int
    named: str
    sql: str = ""
    old: str = ""
    new: str = ""


COMMON_PLANTS = (
    # 2: a label in another place, and one that no model has
    Plant(2, "changed  TYPE public.status", old="'first', 'w', 'late', 'y', 'forgotten'", new="'first', 'y', 'w', 'late'"),
    # 4: a key of a circle is silently missing
    Plant(4, "missing  FK CONSTRAINT public.hen hen_egg", "ALTER TABLE hen DROP CONSTRAINT hen_egg"),
    # 8: nextval() of a sequence of its own became a SERIAL; options, owner and name
    Plant(8, "changed  TABLE public.orders", "CREATE SEQUENCE orders_no_seq OWNED BY orders.no;"
          " ALTER TABLE orders ALTER COLUMN no SET DEFAULT nextval('orders_no_seq')"),
    Plant(8, "changed  SEQUENCE public.order_no", "ALTER SEQUENCE order_no INCREMENT 1"),
    Plant(8, "missing  SEQUENCE public.nobody_s", "DROP SEQUENCE nobody_s"),
    Plant(8, "missing  SEQUENCE OWNED BY public.odd_name", "ALTER SEQUENCE odd_name OWNED BY NONE"),
    Plant(8, "missing  SEQUENCE public.counter", "ALTER SEQUENCE counter RENAME TO renamed_id_seq"),
    # 9: a default that stands in no model
    Plant(9, "changed  TABLE public.defaults", "ALTER TABLE defaults ALTER COLUMN status DROP DEFAULT"),
    # 10: code of the database
    Plant(10, "changed  FUNCTION public.next_code()",
          "CREATE OR REPLACE FUNCTION next_code() RETURNS text LANGUAGE sql VOLATILE AS $$SELECT 'd' || 1::text$$"),
    Plant(10, "missing  TRIGGER public.accounts touch", "DROP TRIGGER touch ON accounts"),
    Plant(10, "changed  TRIGGER public.accounts asleep", "ALTER TABLE accounts ENABLE TRIGGER asleep"),
    Plant(10, "missing  AGGREGATE public.total(numeric)", "ALTER AGGREGATE total(numeric) RENAME TO whole"),
    Plant(10, "missing  PROCEDURE public.reset(integer)", "DROP PROCEDURE reset"),
    Plant(10, "missing  EVENT TRIGGER watch", "DROP EVENT TRIGGER watch"),
    # 11: views; a model that is mapped on one makes a table
    Plant(11, "changed  VIEW public.rich_accounts", "ALTER VIEW rich_accounts RESET (check_option)"),
    Plant(11, "missing  VIEW public.grouped",
          "DROP VIEW grouped; CREATE TABLE grouped (id integer, name text, balance numeric)"),
    Plant(11, "missing  VIEW public.z_first", "DROP VIEW z_first"),
    Plant(11, "missing  INDEX public.totals_name", "DROP INDEX totals_name"),
    Plant(11, "missing  RULE public.log no_delete", "DROP RULE no_delete ON log"),
    # 13: a check with the model's text; one that is missing; one that was never validated
    Plant(13, "changed  TABLE public.people", "ALTER TABLE people DROP CONSTRAINT email_short,"
          " ADD CONSTRAINT email_short CHECK (length(email) < 50)"),
    Plant(13, "changed  TABLE public.groups", "ALTER TABLE groups DROP CONSTRAINT named"),
    Plant(13, "changed  DOMAIN public.fine", "ALTER DOMAIN fine VALIDATE CONSTRAINT small"),
    # 15: names as a convention has them
    Plant(15, "missing  FK CONSTRAINT public.people members_boss_fkey",
          "ALTER TABLE people RENAME CONSTRAINT members_boss_fkey TO fk_people_boss"),
    Plant(15, "missing  CONSTRAINT public.groups teams_name_key",
          "ALTER TABLE groups RENAME CONSTRAINT teams_name_key TO uq_groups_name"),
    # 16: the key is bigint, and so is its sequence
    Plant(16, "changed  SEQUENCE public.grown_id_seq", "ALTER SEQUENCE grown_id_seq AS bigint"),
)  # fmt: skip

KEY_PLANTS = (
    # 14: indexes that reflection loses, or that are written down wrongly
    Plant(14, "missing  INDEX public.docs_lower", "DROP INDEX docs_lower"),
    Plant(14, "changed  INDEX public.docs_two",
          "DROP INDEX docs_two; CREATE INDEX docs_two ON docs (n, title, (data ->> 'a:b'))"),
    Plant(14, "changed  INDEX public.docs_some",
          "DROP INDEX docs_some; CREATE UNIQUE INDEX docs_some ON docs (title)"),
    Plant(14, "changed  INDEX public.docs_with", "DROP INDEX docs_with; CREATE INDEX docs_with ON docs (n)"),
    Plant(14, "changed  INDEX public.docs_pattern",
          "DROP INDEX docs_pattern; CREATE INDEX docs_pattern ON docs (title, body)"),
    Plant(14, "changed  INDEX public.docs_brin", "ALTER INDEX docs_brin RESET (pages_per_range)"),
    Plant(14, "changed  INDEX public.docs_gin",
          "DROP INDEX docs_gin; CREATE INDEX docs_gin ON docs USING gin (data) WITH (fastupdate = off)"),
    Plant(14, "changed  INDEX public.docs_hash", "DROP INDEX docs_hash; CREATE INDEX docs_hash ON docs (title)"),
    # 6: a constraint that reflection drops
    Plant(6, "missing  CONSTRAINT public.rooms rooms_during_excl",
          "ALTER TABLE rooms DROP CONSTRAINT rooms_during_excl"),
    # 17: identity, generated, deferrable, MATCH FULL, INCLUDE
    Plant(17, "changed  SEQUENCE public.ids_id_seq", "ALTER TABLE ids ALTER COLUMN id SET GENERATED BY DEFAULT"),
    Plant(17, "changed  TABLE public.ids", "ALTER TABLE ids ALTER COLUMN twice DROP EXPRESSION"),
    Plant(17, "changed  SEQUENCE public.ids_default_id_seq", "ALTER TABLE ids_default ALTER COLUMN id SET INCREMENT 1"),
    Plant(17, "changed  CONSTRAINT public.pairs pairs_c",
          "ALTER TABLE pairs DROP CONSTRAINT pairs_c, ADD CONSTRAINT pairs_c UNIQUE (c)"),
    Plant(17, "changed  FK CONSTRAINT public.pair_uses whole", "ALTER TABLE pair_uses DROP CONSTRAINT whole,"
          " ADD CONSTRAINT whole FOREIGN KEY (b, a) REFERENCES pairs (b, a) ON UPDATE CASCADE"),
    Plant(17, "changed  FK CONSTRAINT public.egg egg_hen_id_fkey", "ALTER TABLE egg DROP CONSTRAINT egg_hen_id_fkey,"
          " ADD CONSTRAINT egg_hen_id_fkey FOREIGN KEY (hen_id) REFERENCES hen"),
    # 18: a column where the model has it
    Plant(18, "changed  TABLE public.docs", old='sa.Column("title", sa.Text(), nullable=True),\n'
          '        sa.Column("body", sa.Text(), nullable=True),', new='sa.Column("body", sa.Text(), nullable=True),\n'
          '        sa.Column("title", sa.Text(), nullable=True),'),
    # 21: types of one's own
    Plant(21, "changed  DOMAIN public.postcode", "ALTER DOMAIN postcode DROP DEFAULT"),
    Plant(21, "missing  TYPE public.float_range", "ALTER TYPE float_range RENAME TO ranges"),
    Plant(21, "missing  COLLATION public.bytes", "ALTER COLLATION bytes RENAME TO others"),
)  # fmt: skip

STORAGE_PLANTS = (
    Plant(12, "missing  STATISTICS public.plain_stats", "DROP STATISTICS plain_stats"),
    Plant(12, "changed  TABLE public.plain", "ALTER TABLE plain ALTER COLUMN doc SET STORAGE EXTENDED"),
    Plant(12, "changed  INDEX public.plain_lower", "ALTER INDEX plain_lower ALTER COLUMN 1 SET STATISTICS -1"),
    Plant(12, "changed  TABLE public.filled", "ALTER TABLE filled RESET (fillfactor)"),
    Plant(12, "changed  CONSTRAINT public.plain plain_a", "ALTER TABLE plain SET WITHOUT CLUSTER"),
    Plant(12, "changed  CONSTRAINT public.by_key by_key_pkey", "ALTER TABLE by_key REPLICA IDENTITY DEFAULT"),
    Plant(12, "missing  PUBLICATION everything", "DROP PUBLICATION everything"),
    Plant(12, "changed  TABLE public.fast", "ALTER TABLE fast SET LOGGED"),
    Plant(19, "missing  TABLE public.no_columns", "DROP TABLE no_columns"),
    Plant(19, "changed  TABLE public.refers", "ALTER TABLE refers DROP COLUMN filled_id"),
    Plant(19, "missing  TABLE ATTACH public.cities_fr", "ALTER TABLE cities DETACH PARTITION cities_fr"),
    Plant(19, "changed  TABLE public.dogs", "ALTER TABLE dogs NO INHERIT animals"),
)

SECURITY_PLANTS = (
    Plant(20, "missing  ACL TABLE public.secrets", "REVOKE SELECT ON secrets FROM PUBLIC"),
    Plant(20, "changed  ACL COLUMN public.secrets.body", "REVOKE UPDATE (body) ON secrets FROM PUBLIC"),
    Plant(20, "missing  DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES IN SCHEMA api",
          "ALTER DEFAULT PRIVILEGES IN SCHEMA api REVOKE SELECT ON TABLES FROM PUBLIC"),
    Plant(20, "missing  ROW SECURITY public.forgotten", "ALTER TABLE forgotten DISABLE ROW LEVEL SECURITY"),
    Plant(20, "changed  TABLE public.secrets", "ALTER TABLE secrets NO FORCE ROW LEVEL SECURITY"),
    Plant(20, "missing  POLICY public.secrets mine", "DROP POLICY mine ON secrets"),
)  # fmt: skip

NAMES_PLANTS = (
    Plant(7, "missing  SEQUENCE shop.counter", "ALTER SEQUENCE shop.counter SET SCHEMA public"),
    Plant(7, "missing  TABLE Größe: 100%.child", 'ALTER TABLE "Größe: 100%".child SET SCHEMA public'),
    Plant(7, "changed  TYPE shop.size", "ALTER TYPE shop.size ADD VALUE 'l'"),
    Plant(21, "changed  TABLE public.Order", "ALTER TABLE \"Order\" ALTER COLUMN \"Mixed Case\" SET DEFAULT '%%s :x'"),
    Plant(21, "changed  COMMENT COLUMN public.\"Order\".\"a%b\"",
          "COMMENT ON COLUMN \"Order\".\"a%b\" IS '%%s %%(x)s :name'"),
    Plant(21, "missing  INDEX public.Idx %:x", 'ALTER INDEX "Idx %:x" RENAME TO idx'),
    Plant(21, "changed  COMMENT TABLE shop.items", "COMMENT ON TABLE shop.items IS 'GrÃ¶Ãen'"),
)  # fmt: skip

EXTENSION_PLANTS = (
    Plant(6, "missing  EXTENSION pg_trgm", "DROP EXTENSION pg_trgm CASCADE"),
    Plant(6, "changed  TABLE public.users", "ALTER TABLE users ALTER COLUMN id DROP DEFAULT"),
    Plant(6, "missing  CONSTRAINT public.bookings bookings_room_during_excl",
          "ALTER TABLE bookings DROP CONSTRAINT bookings_room_during_excl"),
)  # fmt: skip

VALUE_PLANTS = (
    Plant(24, "changed  SEQUENCE SET public.texts_id_seq", "SELECT setval('texts_id_seq', 1)"),
    Plant(26, "changed  ROWS public.texts", "UPDATE texts SET t = NULL WHERE t = ''"),
    Plant(26, "changed  ROWS public.values_of_all_types", "UPDATE values_of_all_types SET n = NULL WHERE n = 'NaN'"),
    Plant(26, "changed  ROWS public.by_number", "UPDATE by_number SET t = E'back\\\\\\\\slash' WHERE id = 20"),
    Plant(26, "changed  ROWS public.Odd: 100%", 'UPDATE "Odd: 100%" SET "a:b" = \':x %%s \'\'\' WHERE "50%" = 1'),
)

ROW_PLANTS = (
    Plant(23, "missing  ROWS public.roles", "DELETE FROM roles WHERE name = 'member'"),
    Plant(23, "changed  ROWS public.a_cities", "UPDATE a_cities SET name = 'Germany' WHERE name = 'Germany City'"),
    Plant(24, "changed  SEQUENCE SET public.roles_id_seq", "SELECT setval('roles_id_seq', 2)"),
    Plant(27, "changed  ROWS public.folders", "UPDATE folders SET up = NULL WHERE name = 'root'"),
    Plant(27, "changed  ROWS public.people", "UPDATE people SET team_id = NULL WHERE name = 'bob'"),
    Plant(27, "missing  FK CONSTRAINT public.loners loners_mate_fkey",
          "ALTER TABLE loners DROP CONSTRAINT loners_mate_fkey"),
)  # fmt: skip

CHANCE_PLANTS = (
    # Its value is another one in each database; that there is one is not.
    Plant(25, "changed  ROWS public.devices", "UPDATE devices SET seen = NULL WHERE name = 'a'"),
)

# A history, how many migrations of it are kept, options, what is planted. Each is one squash and one `verify`.
PLANTED: dict[str, tuple[Sequence[Step], str, tuple[str, ...], tuple[Plant, ...]]] = {
    "types, sequences, code": (COMMON, "head-8", (), COMMON_PLANTS),
    "keys, indexes, columns": (COMMON, "head-8", (), KEY_PLANTS),
    "storage": (STORAGE, "head-2", (), STORAGE_PLANTS),
    "security": (SECURITY, "head-2", (), SECURITY_PLANTS),
    "names": (NAMES, "head-2", (), NAMES_PLANTS),
    "extensions": (EXTENSIONS, "head-1", (), EXTENSION_PLANTS),
    "values": (TYPED, "head-2", (), VALUE_PLANTS),
    "rows": (GRAPH, "head-2", (), ROW_PLANTS),
    "chance": (CHANCE, "head-2", ("--data", "devices,readings"), CHANCE_PLANTS),
}


def verify(project: Project, *words: str) -> Done:
    return project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url, *words)


def planted(text: str, plants: Sequence[Plant]) -> str:
    """The base migration with the traps in it."""
    for plant in plants:
        assert not plant.old or text.count(plant.old) == 1, plant
        text = text.replace(plant.old, plant.new) if plant.old else text
    upgrade, _, downgrade = text.partition("\n\n\ndef downgrade():")
    assert downgrade
    body = ddl("", *(plant.sql for plant in plants if plant.sql)).python
    lines = "".join(f"\n    {line}" for line in body.splitlines())
    return f"{upgrade}{lines}\n\n\ndef downgrade():{downgrade}"


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_trap_that_is_planted_in_the_base_migration_is_noticed_by_name(make_plain: MakePlain, name: str) -> None:
    steps, rev, words, plants = PLANTED[name]
    # Each names an object of its own: none is noticed in another's stead.
    assert len({plant.named for plant in plants}) == len(plants)
    project = make_plain(steps)
    if name == "extensions" and not has_extensions(project):
        pytest.skip("this server has no contrib extensions; what then happens is test_traps_schema's")
    done = project.squash(rev, *words)
    assert done.code == 0, done.said
    base = project.base_file
    base.write_text(planted(base.read_text(encoding="utf-8"), plants), encoding="utf-8")
    project.commit("traps")
    done = verify(project, *words)
    assert done.code == 3, done.said
    reported = set(done.err.splitlines())
    survivors = [(plant.trap, plant.named) for plant in plants if plant.named not in reported]
    for plant in plants:
        print(f"trap {plant.trap}: {plant.named}")
    assert survivors == [], done.err


def has_extensions(project: Project) -> bool:
    wanted = "SELECT count(*) FROM pg_available_extensions WHERE name IN"
    names = "('citext', 'hstore', 'pg_trgm', 'btree_gist', 'uuid-ossp')"
    return query(project.address(), f"{wanted} {names}") == [(5,)]


# --- what does not run at all, or leaves something ---------------------------------------------------------------

SMALL = (
    ddl("a", "CREATE TYPE status AS ENUM ('x', 'y')", "CREATE DOMAIN code AS varchar(2)",
        "CREATE TABLE t (id serial PRIMARY KEY, status status, code code, kind text)",
        "CREATE INDEX by_kind ON t (kind)"),
    ddl("b", "INSERT INTO t (kind) SELECT 'kind ' || n FROM generate_series(1, 1001) n"),
    ddl("c", "UPDATE t SET kind = 'last' WHERE id = 1001"),
)  # fmt: skip
# (trap, what it is, text of the base, what stands there instead, exit code, what is said)
BROKEN = (
    (1, "an enum survives", r'\n    op.execute\("DROP TYPE status"\)', "", 3, "extra    TYPE public.status"),
    (1, "a domain survives", r'\n    op.execute\("DROP DOMAIN code"\)', "", 3, "extra    DOMAIN public.code"),
    (3, "an enum that is never made", r'\n    op.execute\("CREATE TYPE status[^\n]*', "", 2, 'type "status" does not exist'),
    (3, "MetaData()", r'name="status", create_type=False', 'name="status", metadata=MetaData()', 2, "MetaData"),
    (5, "a type of the application", r'"kind", sa.Text\(\)', '"kind", shop.types.Choice()', 2, "shop"),
    (22, "CONCURRENTLY", r'"t", \["kind"\]', '"t", ["kind"], postgresql_concurrently=True', 2, "CONCURRENTLY"),
    (39, "Alembic's own table", r"(    refuse_to_lose_rows\(\)\n)(?!.*refuse)", '\\1    op.drop_table("alembic_version")\n',
     3, "alembic_version"),
    (40, "an empty search_path", r"\n\n\ndef downgrade",
     "\n    op.execute(\"SELECT pg_catalog.set_config('search_path', '', false)\")\n\n\ndef downgrade", 2, "alembic_version"),
)  # fmt: skip


@pytest.mark.slow
def test_a_base_migration_that_does_not_run_or_leaves_something_is_noticed(make_plain: MakePlain) -> None:
    project = make_plain(SMALL)
    done = project.squash("head-1")
    assert done.code == 0, done.said
    base, text = project.base_file, project.base_file.read_text(encoding="utf-8")
    proven = project.git("rev-parse", "HEAD")
    for trap, what, old, new, code, said in BROKEN:
        broken, count = re.subn(old, new, text)
        assert count == 1, what
        base.write_text(broken, encoding="utf-8")
        project.commit(what)
        done = verify(project)
        assert done.code == code and said in done.err, (trap, what, done.said)
        project.git("reset", "--quiet", "--hard", proven)
    # 28: a data file that is not whole, and one in which a value is another one
    data = base.with_suffix(".t.jsonl")
    for old, new, code, said in (
        ("kind 1001", "kind 1002", 3, "changed  ROWS public.t"),
        (data.read_text(encoding="utf-8").splitlines()[-1] + "\n", "", 2, "holds 1000 rows; 1001 were expected"),
    ):
        data.write_text(data.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        project.commit("a data file")
        done = verify(project)
        assert done.code == code and said in done.err, done.said
        project.git("reset", "--quiet", "--hard", proven)


# --- the list ----------------------------------------------------------------------------------------------------


def test_every_trap_has_a_test_of_a_history_and_those_of_the_schema_and_rows_are_planted_too() -> None:
    assert sorted(HELD) == list(range(1, 43))
    there = {
        name
        for path in Path(__file__).parents[1].rglob("test_*.py")
        for name in re.findall(r"(?m)^def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert {name for names in HELD.values() for name in names} - there == set()
    by_number = {plant.trap for *_, plants in PLANTED.values() for plant in plants} | {one[0] for one in BROKEN} | {28}
    assert set(range(1, 29)) - by_number == set()
