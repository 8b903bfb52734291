"""What is read off the project's files, and what is passed over because no word of it is there."""

from __future__ import annotations

import pytest

from tasklib.project import sources, variables_read

CHANCE = {
    "op.execute(\"INSERT INTO t VALUES (now(), gen_random_uuid())\")": ["gen_random_uuid", "now"],
    "op.execute('UPDATE t SET at = CURRENT_TIMESTAMP')": ["CURRENT_TIMESTAMP"],
    "op.execute('UPDATE t SET at = local\\x74ime')": ["localtime"],  # written with an escape
    "rows = [{'at': datetime.utcnow(), 'id': uuid.uuid4()}]": ["datetime.utcnow", "uuid.uuid4"],
    "key = secrets.token_hex(8) + random.choice('ab')": ["random.choice", "secrets.token_hex"],
    "op.add_column('t', sa.Column('at', sa.DateTime(), server_default=sa.func.now()))": [],
    "op.add_column('t', sa.Column('at', sa.DateTime(), server_default=sa.text('now()'), onupdate=sa.func.now()))": [],
    "op.alter_column('t', 'at', server_default=sa.text('now()')); op.execute('SELECT random()')": ["random"],
    "op.create_table('t', sa.Column('known', sa.Time()))": [],
    "op.alter_column('t', 'at', existing_server_default=sa.text('now()'), nullable=False)": [],
}  # fmt: skip


@pytest.mark.parametrize("text", CHANCE)
def test_calls_for_time_and_chance_are_named_but_for_those_of_a_columns_default(text: str) -> None:
    assert sorted(read.name for read in sources.chance_calls({"m.py": text})) == CHANCE[text]


def test_what_migrations_ask_of_the_run_is_found() -> None:
    texts = {
        "a.py": "if context.get_x_argument(as_dictionary=True).get('data'): pass\n",
        "b.py": "from shop.settings import settings as s\nfrom shop import config, models\n"
        "if s.seed_demo and config.A: models.fill()\n",
        "c.py": "op.execute('SELECT current_schema()')\nop.get_context().config.attributes['x']\n",
        "d.py": "from flask import current_app\ncurrent_app.config['X']; op.create_table('settings')\n",
        "e.py": "context.config.get_main_option('shop')\n",
        "f.py": "op.execute(\"DO $$BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ro') THEN GRANT r TO s;"
        ' END IF; END$$")\nif bind.dialect.server_version_info > (13,): pass\n',
    }
    assert [(read.path, read.line, read.name) for read in sources.asks_of_the_run(texts)] == [
        ("a.py", 1, "context.get_x_argument"), ("b.py", 3, "s.seed_demo"), ("b.py", 3, "config.A"),
        ("c.py", 1, "current_schema"), ("c.py", 2, "config.attributes"),
        ("d.py", 2, "current_app.config"), ("e.py", 1, "context.config.get_main_option"),
        ("f.py", 1, "pg_roles"), ("f.py", 2, "bind.dialect.server_version_info"),
    ]  # fmt: skip


def test_what_migrations_do_to_files_is_found() -> None:
    texts = {
        "a.py": "import shutil, os\nshutil.move('uploads', 'media'); os.remove('x'); os.path.join('a')\n",
        "b.py": "open('x'); open('y', 'w'); open('z', mode='a'); Path('p').write_text('x'); Path('p').read_text()\n",
        "c.py": "(HERE / 'x').unlink(); op.execute('DELETE FROM os.remove'); touch()\n",
        "d.py": "(HERE / 'x').rename(NEW); 'a'.replace('b', 'c'); Path('x').replace(NEW)\n",
    }
    assert [(read.path, read.name) for read in sources.file_writes(texts)] == [
        ("a.py", "shutil.move"), ("a.py", "os.remove"), ("b.py", "open"), ("b.py", "open"), ("b.py", "write_text"),
        ("c.py", "unlink"), ("d.py", "rename"), ("d.py", "replace"),
    ]  # fmt: skip


def test_what_migrations_reach_beside_their_database_is_found() -> None:
    texts = {
        "a.py": "import redis, json\nfrom urllib.request import urlopen\nfrom urllib.parse import quote\n",
        "b.py": "from . import redis\nimport sqlite3 as s\nimport boto3.session\n",
    }
    assert [(read.path, read.name) for read in sources.imports_of_outside(texts)] == [
        ("a.py", "redis"), ("a.py", "urllib.request"), ("b.py", "sqlite3"), ("b.py", "boto3.session"),
    ]  # fmt: skip


def test_reads_of_the_environment_and_other_databases_are_found_in_whichever_file() -> None:
    texts = {
        "a.py": "import os\nos.environ['A']\n",
        "b.py": "from os import getenv\ngetenv('B', 'x')\n",
        "c.py": "config('C'); env.str('D'); 'nothing'\n",
        "d.py": "if bind.dialect.name == 'SQLite' or url.startswith('mysql+pymysql://'): pass\n",
        "e.py": "x = 'm\\x79sql'\n",
        "f.py": "not Python at all\n",
        "g.py": "import os\ndef fill(settings, name, variable):\n    settings[name] = os.environ[variable]\n",
        "h.py": "fill({}, 'database.url', 'H')\nenv.fill({}, 'x', 'I'); fill({}, 'y', name)\n",
    }
    reads = variables_read.environment_reads(texts)
    assert [(read.path, read.name, read.default) for read in reads] == [
        ("a.py", "A", ""), ("b.py", "B", "x"), ("c.py", "C", ""), ("c.py", "D", ""),
        ("h.py", "H", ""), ("h.py", "I", ""),
    ]  # fmt: skip
    others = sources.other_databases(texts)
    assert [(read.path, read.name) for read in others] == [
        ("d.py", "SQLite"), ("d.py", "mysql+pymysql://"), ("e.py", "mysql"),
    ]  # fmt: skip
