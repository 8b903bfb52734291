"""Which variables the project's files read, and which database drivers they name. Reads only."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tasklib.project.sources import Read, constant, dotted, nodes
from tasklib.repository import trees
from tasklib.repository.git import Repository, remembered

# A variable whose name says "database"; only these are named or offered where the user named none.
LIKELY = re.compile(r"(DATABASE|POSTGRES|SQLALCHEMY|DSN|(^|_)(DB|SQL|RDS)(_|$)|(^|_)PG|_UR[IL]$)", re.IGNORECASE)
# Names that end alike and belong to something else.
OTHER_SERVICE = re.compile(
    r"REDIS|CELERY|BROKER|RABBIT|AMQP|SENTRY|MONGO|ELASTIC|OPENSEARCH|MYSQL|MARIA|SQLITE|ORACLE|MSSQL|CACHE|KAFKA|SMTP|"
    r"MAIL|LDAP|NEO4J|CLICKHOUSE|INFLUX|CASSANDRA|PGADMIN|(^|_)S3(_|$)|(^|_)LOG(_|$)|"
    r"INSTANCE",  # one in a cloud: a connector of its own takes the place of the address
    re.IGNORECASE,
)
DATABASE = re.compile(r"DATABASE|POSTGRES|SQLALCHEMY|DSN|(^|_)(DB|SQL|RDS|PG)(_|$)|^PG", re.IGNORECASE)
# What .env files have in place of a value that a password manager fills in: it says nothing about the value.
SECRET = re.compile(r"(op|ref\+\w+|vault|\w*secrets?\w*|\w*ssm|sm|keyring|keyvault|bws|doppler)://", re.IGNORECASE)
READS = r"environ|getenv|config\(|env\(|env\.|Settings|prefixed_env"
READING = ("environ.get", "environ.pop", "getenv", "environ.setdefault")
ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
# Also where one URL is made from another: url.replace("postgresql://", "postgresql+asyncpg://"), import asyncpg.
DRIVER = r"postgres(ql)?\+[a-z0-9_]+|(import|from) +(asyncpg|pg8000)|\+(asyncpg|pg8000)"
DRIVER_NAME = re.compile(r"(?:postgres(?:ql)?\+|(?:import|from) +(?=asyncpg|pg8000)|\+(?=asyncpg|pg8000))(\w+)")


def environment_reads(texts: Mapping[str, str]) -> list[Read]:
    """Every literal name that the given sources (path → text) read from the environment, in order of place."""
    helpers = _helpers(texts)
    words = re.compile("|".join(["env|config", *map(re.escape, helpers)]))
    found = []
    for path, node in nodes(texts, words):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and (name := _read_name(node.values[0])):
            # What stands after `or` is the default; the read itself comes later.
            found.append(Read(name, path, line, constant(node.values[1]) or ""))
        elif name := _read_name(node):
            found.append(Read(name, path, line, _default(node)))
        elif name := _by_helper(node, helpers):
            found.append(Read(name, path, line))
    return found


def _helpers(texts: Mapping[str, str]) -> dict[str, int]:
    """Functions of the project's that read a variable whose name they are given; which of their arguments it is."""
    found = {}
    for _, node in nodes(texts, re.compile("environ|getenv")):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [one.arg for one in node.args.args if one.arg not in ("self", "cls")]
            read = [one.id for inner in ast.walk(node) if isinstance(one := _read(inner), ast.Name)]
            if places := [given.index(name) for name in read if name in given]:
                found[node.name] = places[0]
    return found


def _by_helper(node: ast.AST, helpers: Mapping[str, int]) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    at = helpers.get(dotted(node.func).rpartition(".")[2])
    named = constant(node.args[at]) if at is not None and len(node.args) > at else None
    return named if named and named.isupper() else None


@remembered
def likely_variables(repository: Repository, commit: str) -> list[Read]:
    """Reads of variables that look like a database's address, in the project's own tracked files.

    Python files count, by what they read and by the fields of their pydantic settings, and what .env files set.
    """
    reads = [*_in_python(repository, commit)]
    for glob in ("*.env*", "*.flaskenv"):
        files = trees.files_matching(repository, "=", commit, glob)
        reads += [
            read for path, text in trees.read_many(repository, commit, files).items() for read in env_file(text, path)
        ]
    first: dict[str, Read] = {}
    for read in reads:
        if LIKELY.search(read.name):
            known = first.setdefault(read.name, read)
            if read.default and not known.default:
                first[read.name] = replace(known, default=read.default)
    return sorted(first.values(), key=lambda r: (not re.search("UR[IL]|DSN", r.name), r.name))


@remembered
def all_reads(repository: Repository, commit: str) -> dict[str, Read]:
    """Every variable that the project's own Python files read, with its first place."""
    found: dict[str, Read] = {}
    for read in _in_python(repository, commit):
        found.setdefault(read.name, read)
    return found


@remembered
def _in_python(repository: Repository, commit: str) -> tuple[Read, ...]:
    """What the project's tracked Python files read, in order of place."""
    names = trees.files_matching(repository, READS, commit, "*.py")
    texts = trees.read_many(repository, commit, names)
    # Elsewhere only what is named like one: get( is everywhere.
    if helpers := [name for name in _helpers(texts) if "_" in name.strip("_")]:
        calls = trees.files_matching(repository, rf"({'|'.join(helpers)})\(", commit, "*.py")
        texts |= trees.read_many(repository, commit, [path for path in calls if path not in texts])
    return (*environment_reads(texts), *_settings_fields(texts))


def is_offered(read: Read) -> bool:
    """Whether it may lead to a PostgreSQL database: neither its name nor its default says something else."""
    scheme, there, _ = read.default.partition("://")
    # A default of SQLite is for development, and says nothing about where the migrations run.
    if there and not scheme.startswith("sqlite"):
        return scheme.startswith("postgres")
    return OTHER_SERVICE.search(read.name) is None and DATABASE.search(read.name) is not None


def env_file(text: str, path: str) -> list[Read]:
    """The variables that a file in the form of .env sets, with their values as defaults."""
    lines = ((number, ENV_LINE.match(line)) for number, line in enumerate(text.splitlines(), 1))
    found = [Read(m.group(1), path, number, m.group(2).strip().strip("'\"")) for number, m in lines if m]
    return [replace(read, default="") if SECRET.match(read.default) else read for read in found]


@remembered
def drivers(repository: Repository, commit: str) -> list[Read]:
    """The URL schemes with a driver (``postgresql+asyncpg``) that the project's files name, most frequent first, each
    with its first place. A driver that ignores PGOPTIONS counts by its import, too.
    """
    globs = ("*.py", "*.ini", "*.ini.*", "*.cfg", "*.toml", "*.y*ml", "*.env*")
    places = [
        (path, number, f"postgresql+{name}")
        for path, text in trees.read_many(
            repository, commit, trees.files_matching(repository, DRIVER, commit, *globs)
        ).items()
        for number, line in enumerate(text.splitlines(), 1)
        for name in DRIVER_NAME.findall(line)
    ]
    counts = Counter(name for _, _, name in places)
    first = {name: Read(name, path, number) for path, number, name in reversed(places)}
    return [first[name] for name, _ in counts.most_common()]


def _read(node: ast.AST) -> ast.expr | None:
    """What names the variable that a node reads from the environment; None where it reads none."""
    if isinstance(node, ast.Subscript) and dotted(node.value).endswith("environ"):
        return node.slice
    called = dotted(node.func) if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and node.args and called.endswith(READING):
        return node.args[0]
    return None


def _read_name(node: ast.AST) -> str | None:
    read = _read(node)
    if read is not None:
        return constant(read)
    if (
        isinstance(node, ast.Call)
        and node.args
        and re.fullmatch(r"(env|config)(\.(str|url|db|get))?", dotted(node.func))
    ):
        # config("x") is also how settings are looked up by lower-case names; variables are upper case.
        name = constant(node.args[0])
        return name if name and name.isupper() else None
    return None


def _default(node: ast.AST) -> str:
    """What a read gives where the variable is not set, where that is a literal."""
    if not isinstance(node, ast.Call):
        return ""
    named = [keyword.value for keyword in node.keywords if keyword.arg == "default"]
    return next((text for one in [*node.args[1:2], *named] if (text := constant(one))), "")


def _settings_fields(texts: Mapping[str, str]) -> Iterator[Read]:
    """The variables of pydantic settings (a field's name in upper case after the class's prefix, or its alias), and
    the one that Flask's `from_prefixed_env` would read.
    """
    for path, node in nodes(texts):
        if isinstance(node, ast.ClassDef) and any(dotted(base).endswith("Settings") for base in node.bases):
            prefix = _env_prefix(node)
            for one in node.body:
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                    names = _aliases(one.value) or [f"{prefix}{one.target.id}"]
                    default = (constant(one.value) if one.value is not None else None) or ""
                    yield from (Read(name.upper(), path, one.lineno, default) for name in names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith("from_prefixed_env"):
            yield Read("FLASK_SQLALCHEMY_DATABASE_URI", path, node.lineno)


def _env_prefix(node: ast.ClassDef) -> str:
    for one in ast.walk(node):
        if isinstance(one, ast.keyword) and one.arg == "env_prefix":
            return constant(one.value) or ""
        if isinstance(one, ast.Assign) and dotted(one.targets[0]) == "env_prefix":
            return constant(one.value) or ""
    return ""


def _aliases(value: ast.expr | None) -> list[str]:
    keywords = value.keywords if isinstance(value, ast.Call) else []
    named = (constant(one.value) for one in keywords if one.arg in ("env", "alias", "validation_alias"))
    return [name for name in named if name]
