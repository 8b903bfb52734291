"""Where deployed databases stand, before a squash and after it: with real databases, one of which is not there."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from tasklib.postgres import client
from tests.conftest import copied, database_of
from tests.support.project import Plain, Step, query


def deployed(project: Plain) -> dict[str, str]:
    """Databases at several revisions, by name, with their URLs."""
    urls = {name: database_of(project, number, name) for name, number in (("at_r", 4), ("past", 6), ("behind", 2))}
    for name, sql in (("empty", "SELECT 1"), ("stranger", "CREATE TABLE alembic_version (version_num varchar(32));"
                       "INSERT INTO alembic_version VALUES ('feedfacecafe')"),
                      ("several", "CREATE TABLE alembic_version (version_num varchar(32));"
                       f"INSERT INTO alembic_version VALUES ('{project.ids[0]}'), ('{project.ids[3]}')")):  # fmt: skip
        address = project.new_database(name)
        with client.connect(address) as connection, connection.usual_path():
            connection.run(sql)
        urls[name] = address.url()
    return {**urls, "gone": f"postgresql://u:secret@127.0.0.1:1/{'gone'}"}


def line_of(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if f"/{name} " in line)


def test_each_is_named_with_its_state_and_what_all_have_reached_is_the_advice(old_shop: Plain, tmp_path: Path) -> None:
    project, ids = old_shop, old_shop.ids
    urls = deployed(project)
    file = tmp_path / "urls.txt"
    file.write_text("# all of ours\n" + "\n".join(urls.values()) + "\n")
    done = project.tool("instances", "--rev", "head-2", "--urls", str(file))
    assert done.code == 1, done.said
    lines = {name: line_of(done.out, name) for name in urls}
    assert f"at R ({ids[3]})" in lines["at_r"] and f"past R ({ids[5]})" in lines["past"]
    assert f"behind R ({ids[1]}); 2 to go: {ids[2]}, {ids[3]}" in lines["behind"]
    assert "no version table" in lines["empty"] and "unknown revision (feedfacecafe)" in lines["stranger"]
    assert "several rows" in lines["several"] and "not reached" in lines["gone"]
    assert f"5 of 7 are not at {ids[3]} or past it" in done.err
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


def test_rev_auto_is_the_newest_revision_that_all_have_reached(old_shop: Plain, tmp_path: Path) -> None:
    project = old_shop
    urls = deployed(project)
    script = tmp_path / "databases.py"
    script.write_text(f"print({urls['past']!r})\nprint({urls['behind']!r})\n")
    done = project.tool("plan", "--rev", "auto", "--urls-from", f"{sys.executable} {script}")
    assert done.code == 0 and f"to {project.ids[1]}, become one" in done.out, done.said
    assert f"--rev auto: all 2 databases have reached {project.ids[1]}" in done.err
    few = project.tool("squash", "--rev", "auto", "--url", urls["behind"], "--at-least", "3")
    assert few.code == 0 and "2 migrations could go" in few.out and "nothing to do" in few.out, few.said
    # What it cannot tell it does not count as reached.
    for name in ("empty", "stranger", "several", "gone"):
        done = project.tool("squash", "--rev", "auto", "--url", urls["past"], "--url", urls[name])
        assert done.code == 1 and f"/{name}" in done.err and "cannot be told" in done.err, done.said
        assert "secret" not in done.said and project.server.password not in done.said
    done = project.tool("plan", "--rev", "head-2", "--url", urls["past"])
    assert done.code == 1 and "asked for --rev auto only" in done.err
    script.write_text("import sys; sys.exit('no postgresql://u:secret@h/d today')")
    done = project.tool("plan", "--rev", "auto", "--urls-from", f"{sys.executable} {script}")
    assert done.code == 2 and "today" in done.err and "secret" not in done.said
    done = project.tool("plan", "--rev", "auto")
    assert done.code == 1 and "No database is named" in done.err
    project.assert_nothing_left()


def test_after_a_squash_the_base_migration_says_which_revision_it_is(new_shop: Plain, tmp_path: Path) -> None:
    project = copied(new_shop, tmp_path)
    urls = deployed(project)
    words = [word for name in ("at_r", "past", "behind") for word in ("--url", urls[name])]
    done = project.tool("instances", *words)
    assert done.code == 1 and "1 of 3 are not at" in done.err and "catchup" in done.err, done.said
    assert f"behind R ({project.ids[1]}); 2 to go" in done.out
    # In a clone without the originals, the ids that the base replaces say as much.
    project.run(["git", "clone", "--quiet", "--depth=1", f"file://{project.top}", str(tmp_path / "shallow")])
    shallow = project.tool("instances", *words, cwd=tmp_path / "shallow")
    assert shallow.code == 1 and shallow.out == done.out, shallow.said
    # What is newer than the squash stands on it.
    (later,) = project.add(Step("later", "pass", revision="0007abcdef00"))
    project.db("upgrade", "head", database="past")
    done = project.tool("instances", "--url", urls["past"])
    assert done.code == 0 and f"past R ({later})" in done.out, done.said


def test_drift_names_what_the_migrations_did_not_build(new_shop: Plain) -> None:
    project, server = new_shop, ("--server", new_shop.server_url)
    urls = {name: database_of(project, number, name) for name, number in (("at_r", 4), ("behind", 2), ("odd", 2))}
    with client.connect(project.address("odd")) as connection, connection.usual_path():
        connection.run("DROP INDEX ix_users_email; ALTER TABLE orders ADD COLUMN by_hand integer")
        connection.run("ALTER DATABASE odd SET work_mem = '8MB'")  # the deployment's own
    done = project.tool("instances", "--drift", "--url", urls["at_r"], *server)
    assert done.code == 0 and "no drift" in line_of(done.out, "at_r"), done.said
    done = project.tool("instances", "--drift", *(word for url in urls.values() for word in ("--url", url)), *server)
    assert done.code == 1, done.said
    assert "no drift" in line_of(done.out, "behind") and "drift: 3" in line_of(done.out, "odd"), done.out
    assert "missing  INDEX public.ix_users_email" in done.out and "by_hand" in done.out, done.out
    assert not [name for name in project.databases() if name.startswith("alembic_squash_")]
    project.assert_nothing_left()


def test_each_schema_of_one_database_is_an_instance(old_shop: Plain) -> None:
    project = old_shop
    address = project.new_database("tenants")
    with client.connect(address) as connection, connection.usual_path():
        for name, revision in (("tenant_a", project.ids[3]), ("tenant_b", project.ids[0]), ("other", project.ids[0])):
            connection.run(f"CREATE SCHEMA {name}; CREATE TABLE {name}.alembic_version (version_num text)")
            connection.run(f"INSERT INTO {name}.alembic_version VALUES ('{revision}')")
    done = project.tool("instances", "--rev", "head-2", "--url", address.url(), "--schemas", "tenant_%")
    assert done.code == 1 and "/tenants tenant_a" in done.out and "/tenants tenant_b" in done.out, done.said
    assert "other" not in done.out and "1 of 2 are not at" in done.err
    done = project.tool("instances", "--rev", "head-2")
    assert done.code == 1 and "No database is named" in done.err


@pytest.mark.slow
def test_five_hundred_databases_of_one_server_take_less_than_half_a_minute(old_shop: Plain, tmp_path: Path) -> None:
    project = old_shop
    file = tmp_path / "urls.txt"
    file.write_text("\n".join(database_of(project, 4, f"many_{number}") for number in range(500)))
    try:
        started = time.monotonic()
        done = project.tool("instances", "--rev", "head-2", "--urls", str(file))
        took = time.monotonic() - started
    finally:
        with client.connect(project.address()) as connection, connection.usual_path():
            for number in range(500):
                connection.run(f"DROP DATABASE IF EXISTS many_{number}")
    assert done.code == 0 and done.out.count("at R") == 500, done.said
    print(f"{took:.1f} s")
    assert took < 30
