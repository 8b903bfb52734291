"""Histories that an argument or a variable runs for one schema after the other: served by the base, or refused."""

from __future__ import annotations

import pytest

from tasklib.postgres import client
from tests.conftest import MakePlain
from tests.support.project import URL_IN_ENV, VARIABLE, Plain, Step, query
from tests.unharmed.test_hostile import edit_env

pytestmark = pytest.mark.usefixtures("put_back")

BLOCK = "    with connectable.connect() as connection:\n"
# How env.py takes the name, and what it does with it.
ARGUMENT = 'context.get_x_argument(as_dictionary=True).get("schema", "{}")'
BY_VARIABLE = 'os.environ.get("TENANT_SCHEMA", "{}")'
SEARCHES = """        import os
        import sqlalchemy as sa

        schema = {place}
        connection.execute(sa.text(f'CREATE SCHEMA IF NOT EXISTS "{{schema}}"'))
        connection.execute(sa.text(f'SET search_path TO "{{schema}}"'))
        connection.commit()
        connection.dialect.default_schema_name = schema
"""
NATIVE = (
    Step("plans", """
        plans = op.create_table("plans", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("code", sa.Text()))
        op.bulk_insert(plans, [{"id": 1, "code": "free"}])
    """),
    Step("index", 'op.create_index("plans_code", "plans", ["code"])'),
    Step("later", 'op.add_column("plans", sa.Column("note", sa.Text()))'),
)  # fmt: skip


def tenants(make_plain: MakePlain, place: str, does: str, steps: tuple[Step, ...] = NATIVE) -> Plain:
    project = make_plain(steps, env=URL_IN_ENV)
    edit_env(project, BLOCK, BLOCK + does.format(place=place))
    return project


@pytest.mark.parametrize("place", [ARGUMENT, BY_VARIABLE])
def test_a_base_that_names_no_schema_serves_every_tenant_and_is_proven_for_another(
    make_plain: MakePlain, place: str
) -> None:
    project = tenants(make_plain, place.format("public"), SEARCHES)
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert "for another schema by" in done.out and "schema=" not in project.base_text(project.ids[1])
    address = project.new_database("tenants")
    for schema in ("a", "b"):
        words = ["-x", f"schema={schema}"] if place == ARGUMENT else []
        project.environment = {"TENANT_SCHEMA": schema} if place == BY_VARIABLE else {}
        project.db(*words, "upgrade", "head", database="tenants")
        assert query(address, f"SELECT code, note FROM {schema}.plans") == [("free", None)]


ONE_TENANT = {
    "variable": BY_VARIABLE.format("acme"),
    "or": "(os.environ.get('TENANT_SCHEMA') or 'acme')",
    "list": 'os.environ.get("TENANT_SCHEMA", "acme").split(",")[0]',
    "JSON": "__import__('json').loads(os.environ.get('TENANT_SCHEMA', '[\"acme\"]'))[0]",
    "argument": ARGUMENT.format("acme"),
    "beside": "(context.get_x_argument(as_dictionary=True) or {'schema': 'acme'})['schema']",
}


@pytest.mark.parametrize("way", ONE_TENANT)
def test_what_names_one_tenant_leads_to_public_and_the_base_is_proven_for_that_tenant(
    make_plain: MakePlain, way: str
) -> None:
    project = tenants(make_plain, ONE_TENANT[way], SEARCHES)
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0 and "leads there now" in done.err and "is proven for acme too" in done.err, done.said
    project.assert_nothing_left()
    assert "chooses the migrations' schema → public (elsewhere acme)" in done.out.replace(
        '["public"]', "public"
    ).replace('["acme"]', "acme"), done.said
    assert "schema=" not in project.base_text(project.ids[1])
    address = project.new_database("tenants")
    project.db("upgrade", "head", database="tenants")
    assert query(address, "SELECT code, note FROM acme.plans") == [("free", None)]


def test_a_tenant_in_a_variable_that_is_read_in_no_way_that_files_show_leads_to_public(make_plain: MakePlain) -> None:
    project = tenants(make_plain, "dict(os.environ)['__'.join(('DB', 'TENANT'))]", SEARCHES)
    project.environment = {"DB__TENANT": "acme"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0 and "the variable DB__TENANT leads there now" in done.err, done.said
    project.assert_nothing_left()
    assert "schema=" not in project.base_text(project.ids[1])


@pytest.mark.parametrize("given", [(), ("--command", "alembic -x tenant=acme")])
def test_a_tenant_whose_schema_an_operator_makes_leads_to_public(make_plain: MakePlain, given: tuple[str, ...]) -> None:
    """As Alembic's own documentation has it."""
    place = 'context.get_x_argument(as_dictionary=True).get("tenant")'
    lines = [line for line in SEARCHES.splitlines(keepends=True) if "CREATE SCHEMA" not in line]
    project = tenants(make_plain, place, "".join(lines))
    done = project.tool("squash", "--rev", "head-1", *given)
    assert done.code == 0 and "the argument -x tenant=… leads to public now" in done.err, done.said
    assert "for another schema by the argument -x tenant=…" in done.out, done.said
    project.assert_nothing_left()
    address = project.new_database("tenants")
    with client.connect(address) as connection, connection.usual_path():
        connection.run("CREATE SCHEMA globex")
    project.db("-x", "tenant=globex", "upgrade", "head", database="tenants")
    assert query(address, "SELECT code, note FROM globex.plans") == [("free", None)]


FROM_OUTSIDE = {
    "a file that git does not hold": "open('tenant.txt').read()",
    "an address": "str(connection.engine.url.query['options']).partition('search_path=')[2]",
}


@pytest.mark.parametrize("where", FROM_OUTSIDE)
def test_a_tenant_that_no_file_of_the_project_names_is_refused(make_plain: MakePlain, where: str) -> None:
    project = tenants(make_plain, FROM_OUTSIDE[where], SEARCHES)
    project.write(".gitignore", "__pycache__/\n*.pyc\ntenant.txt\n")
    head = project.commit("a tenant of this machine's")
    project.write("tenant.txt", "acme")
    project.environment = {VARIABLE: "postgresql://u:p@db.example/shop?options=-csearch_path%3Dacme"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 1 and "in the schema acme, which env.py makes and no tracked file names" in done.err, done.said
    project.assert_nothing_left(head)


DERIVED = (
    'f\'tenant_{os.environ.get("TENANT", "acme")}\'',
    "'t_' + (context.get_x_argument(as_dictionary=True) or {'tenant': 'acme'})['tenant']",
    "(lambda one: 'acme' if one == 'public' else one)(os.environ.get('TENANT', 'acme'))",
)


@pytest.mark.parametrize("place", DERIVED)
def test_a_base_that_would_name_one_tenant_alone_is_refused(make_plain: MakePlain, place: str) -> None:
    project = tenants(make_plain, place, SEARCHES)
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 3, done.said
    assert "run for whichever schema" in done.err and "acme in this squash)" in done.err, done.said
    project.assert_nothing_left(head)


LOOP = """        import os
        import sqlalchemy as sa

        for schema in {place}:
            connection.execute(sa.text(f'CREATE SCHEMA IF NOT EXISTS "{{schema}}"'))
            connection.execute(sa.text(f'SET search_path TO "{{schema}}"'))
            connection.commit()
            connection.dialect.default_schema_name = schema
            context.configure(connection=connection, target_metadata=target_metadata{more})
            with context.begin_transaction():
                context.run_migrations()
        return
"""


@pytest.mark.parametrize("more", ["", ", version_table_schema=schema"])
def test_a_loop_over_tenants_that_a_variable_lists_is_run_for_one(make_plain: MakePlain, more: str) -> None:
    place = 'os.environ["TENANTS"].split(",")'
    project = tenants(make_plain, place, LOOP.replace("{more}", more))
    project.environment = {"TENANTS": "acme,globex"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert "the variable TENANTS lists (acme, globex): here that is public alone" in done.err
    assert "is proven for acme and globex too" in done.err
    assert "for another schema by" in done.out and "schema=" not in project.base_text(project.ids[1])
    address = project.new_database("tenants")
    project.db("upgrade", "head", database="tenants")
    for schema in ("acme", "globex"):
        assert query(address, f"SELECT code, note FROM {schema}.plans") == [("free", None)]
        assert query(address, f"SELECT version_num FROM {schema}.alembic_version") == [(project.ids[2],)]
    verified = project.tool("verify")
    assert verified.code == 0, verified.said


def test_a_loop_over_tenants_whose_rows_are_not_the_same_is_refused(make_plain: MakePlain) -> None:
    rows = 'op.execute("INSERT INTO plans VALUES (2, current_schema())")'
    place = 'os.environ["TENANTS"].split(",")'
    project = tenants(make_plain, place, LOOP.replace("{more}", ""), (NATIVE[0], Step("rows", rows), *NATIVE[1:]))
    project.environment = {"TENANTS": "acme,globex"}
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 3 and "for another one it builds another database" in done.err, done.said
    project.assert_nothing_left(head)


def test_tenants_that_make_what_they_share_are_not_taken_for_independent(make_plain: MakePlain) -> None:
    shared = Step("shared", sql=[
        "CREATE SCHEMA IF NOT EXISTS shared", "CREATE TABLE IF NOT EXISTS shared.country (code text PRIMARY KEY)",
    ])  # fmt: skip
    project = tenants(make_plain, BY_VARIABLE.format("public"), SEARCHES, (NATIVE[0], shared, *NATIVE[1:]))
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 3 and "for another one it builds another database" in done.err, done.said
    project.assert_nothing_left(head)


def test_a_list_of_tenants_that_something_sets_again_is_refused_and_not_asked_for_ever(make_plain: MakePlain) -> None:
    place = 'os.environ["TENANTS"].split(",")'
    project = tenants(
        make_plain,
        place,
        LOOP.replace("{more}", "").replace(
            "import os\n", "import os\n        os.environ['TENANTS'] = 'acme,globex'\n", 1
        ),
    )
    project.environment = {"TENANTS": "acme,globex"}
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 1 and "2 times in one database" in done.err and "nothing sets again" in done.err, done.said
    project.assert_nothing_left(head)


def test_a_loop_over_tenants_that_nothing_lists_is_refused_with_what_to_change(make_plain: MakePlain) -> None:
    project = tenants(make_plain, '("acme", "globex")', LOOP.replace("{more}", ""))
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 1 and "2 times in one database" in done.err and "from a variable that lists them" in done.err, (
        done.said
    )
    project.assert_nothing_left(head)


def test_a_schema_that_no_run_chooses_is_named_as_before(make_plain: MakePlain) -> None:
    project = tenants(make_plain, '"acme"', SEARCHES)
    project.environment = {"NOBODY_READS_IT": "acme"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0 and "for another schema" not in done.out, done.said
    assert 'schema="acme"' in project.base_text(project.ids[1])
    project.assert_nothing_left()
