"""Where deployed databases stand, before a squash and after it: with real databases, one of which is not there."""

from __future__ import annotations

import json

import pytest

from tasklib.postgres import client
from tests.conftest import SHOP, MakePlain
from tests.support.project import Plain, Step, query

pytestmark = pytest.mark.usefixtures("put_back")


def deployed(project: Plain) -> dict[str, str]:
    """Databases at several revisions, by name, with their URLs."""
    ids = project.ids
    for name, revision in (("at_r", ids[3]), ("past", ids[5]), ("behind", ids[1])):
        project.new_database(name)
        project.db("upgrade", revision, database=name)
    for name, sql in (("empty", "SELECT 1"), ("stranger", "CREATE TABLE alembic_version (version_num varchar(32));"
                       "INSERT INTO alembic_version VALUES ('feedfacecafe')")):  # fmt: skip
        with client.connect(project.new_database(name)) as connection:
            connection.run(sql)
    urls = {name: project.address(name).url() for name in ("at_r", "past", "behind", "empty", "stranger")}
    return {**urls, "gone": f"postgresql://u:secret@127.0.0.1:1/{'gone'}"}


def test_each_is_named_with_its_state_and_what_all_have_reached_is_the_advice(make_plain: MakePlain) -> None:
    project = make_plain(SHOP)
    urls = deployed(project)
    ids = project.ids
    file = project.top.parent / "urls.txt"
    file.write_text("# all of ours\n" + "\n".join(urls.values()) + "\n")
    done = project.tool("instances", "--rev", "head-2", "--urls", str(file))
    assert done.code == 1, done.said
    lines = {name: next(line for line in done.out.splitlines() if f"/{name} " in line) for name in urls}
    assert f"at R ({ids[3]})" in lines["at_r"] and f"past R ({ids[5]})" in lines["past"]
    assert f"behind R ({ids[1]}); 2 to go: {ids[2]}, {ids[3]}" in lines["behind"]
    assert "no version table" in lines["empty"] and "unknown revision (feedfacecafe)" in lines["stranger"]
    assert "not reached" in lines["gone"]
    assert f"4 of 6 are not at {ids[3]} or past it" in done.err
    assert "secret" not in done.said and project.server.password not in done.said
    # Where only known ones are asked, the newest revision that all of them have reached.
    words = [word for name in ("at_r", "past", "behind") for word in ("--url", urls[name])]
    done = project.tool("instances", "--rev", "head-2", *words, "--json")
    told = json.loads(done.out)
    assert done.code == 1 and told["newest"] == ids[1] and told["revision"] == ids[3]
    assert f"--rev {ids[1]}" in done.err
    good = project.tool("instances", "--rev", "head-2", "--url", urls["at_r"], "--url", urls["past"])
    assert good.code == 0, good.said
    # Nothing was written there.
    assert query(project.address("behind"), "SELECT version_num FROM alembic_version") == [(ids[1],)]


def test_after_a_squash_the_base_migration_says_which_revision_it_is(make_plain: MakePlain) -> None:
    project = make_plain(SHOP)
    urls = deployed(project)
    squashed = project.tool("squash", "--rev", "head-2", "--server", project.server_url)
    assert squashed.code == 0, squashed.said
    words = [word for name in ("at_r", "past", "behind") for word in ("--url", urls[name])]
    done = project.tool("instances", *words)
    assert done.code == 1 and "1 of 3 are not at" in done.err, done.said
    assert f"behind R ({project.ids[1]}); 2 to go" in done.out
    # What is newer than the squash stands on it.
    (later,) = project.add(Step("later", "pass", revision="0007abcdef00"))
    project.db("upgrade", "head", database="past")
    done = project.tool("instances", "--url", urls["past"])
    assert done.code == 0 and f"past R ({later})" in done.out, done.said


def test_each_schema_of_one_database_is_an_instance(make_plain: MakePlain) -> None:
    project = make_plain(SHOP)
    address = project.new_database("tenants")
    with client.connect(address) as connection:
        for name, revision in (("tenant_a", project.ids[3]), ("tenant_b", project.ids[0]), ("other", project.ids[0])):
            connection.run(f"CREATE SCHEMA {name}; CREATE TABLE {name}.alembic_version (version_num text)")
            connection.run(f"INSERT INTO {name}.alembic_version VALUES ('{revision}')")
    done = project.tool("instances", "--rev", "head-2", "--url", address.url(), "--schemas", "tenant_%")
    assert done.code == 1 and "/tenants tenant_a" in done.out and "/tenants tenant_b" in done.out, done.said
    assert "other" not in done.out and "1 of 2 are not at" in done.err
    done = project.tool("instances", "--rev", "head-2")
    assert done.code == 1 and "No database is named" in done.err
