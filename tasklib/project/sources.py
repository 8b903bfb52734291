"""What the project's Python files say, by their syntax trees: nothing is imported or executed."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache

from tasklib import ports
from tasklib.repository import trees
from tasklib.repository.git import Repository, remembered

# Calls whose value is another one in each run, by the dotted end of their name; in SQL text, by the functions' names.
CHANCE = re.compile(
    r"(^|\.)(now|utcnow|today|time|uuid[1-8]|urandom|random|randint|randrange|choice|choices|sample|shuffle|getrandbits|"
    r"token_bytes|token_hex|token_urlsafe|randbelow)$|^(secrets|random|uuid)\."
)
CHANCE_WORD = re.compile(  # of one of these; what has none need not be parsed
    r"now|today|time|uuid|random|rand|choice|sample|shuffle|token|secrets|gen_|current_|local", re.IGNORECASE
)
CHANCE_SQL = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|gen_random_uuid|uuid_generate_v\d\w*|"
    r"gen_salt|gen_random_bytes)\s*\(|\bcurrent_(date|time|timestamp)\b|\blocaltime(stamp)?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Read:
    """A place in the project's files that names something: a variable, a call. ``default`` is what a read gives where
    the variable is not set; it is never shown, since it may hold a password.
    """

    name: str
    path: str
    line: int
    default: str = field(default="", repr=False)

    @property
    def listed(self) -> str:
        """As a line of a list of places."""
        return f"{self.path}:{self.line}: {self.name}"

    @property
    def shown(self) -> str:
        """As a word of a sentence."""
        return f"{self.name} ({self.path}:{self.line})"


def parsed(text: str, path: str = "<unknown>") -> ast.Module:
    r"""The syntax tree of a file. What its Python would warn of ("\d", of old) is no affair of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text.removeprefix("\ufeff"), filename=path)


def dotted(node: ast.expr) -> str:
    """The name that an expression writes with dots (``os.environ.get``), or ""."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def constant(node: ast.expr) -> str | None:
    """The text of a literal string, or None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@remembered
def version_tables(repository: Repository, commit: str) -> tuple[tuple[str, str], ...]:
    """(schema, name) of every version table that the project's files name, Alembic's default first.

    A literal ``version_table`` or ``version_table_schema`` (keyword or key) in a tracked Python file counts.
    """
    names, schemas = ["alembic_version"], [""]
    for path in trees.files_matching(repository, "version_table", commit, "*.py"):
        try:
            tree = parsed(repository.read(commit, path))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            pairs: list[tuple[str | None, ast.expr]] = []
            if isinstance(node, ast.Call):
                pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
            elif isinstance(node, ast.Dict):
                pairs = [(constant(key), value) for key, value in zip(node.keys, node.values, strict=True) if key]
            for name, value in pairs:
                text = constant(value)
                if text and name == "version_table" and text not in names:
                    names.append(text)
                if text and name == "version_table_schema" and text not in schemas:
                    schemas.append(text)
    return tuple((schema, name) for schema in schemas for name in names)


def grants(repository: Repository, commit: str, places: Iterable[str]) -> list[str]:
    """Files below these directories that seem to grant or revoke privileges; better one too many than one too few."""
    pattern = "(GRANT|REVOKE|Grant|Revoke|grant|revoke)([^A-Za-z_]|$)"
    found = {path for place in places for path in trees.files_matching(repository, pattern, commit, f"{place}/*")}
    return sorted(found)


CONFIGURATION = ("*.y*ml", "*.toml", "*.ini", "*.ini.*", "*.cfg", "*.conf", "*.json", "*.env*", "*.sh", "*.properties")
LARGEST = 1_000_000  # bytes of a file that somebody wrote to configure something
URL = "postgres[^ ]*://"
NAMES_A_PORT = rf"{URL}|:{ports.USUAL}|[pP][oO][rR][tT][\"']? *[:=]"


@remembered
def named_ports(repository: Repository, commit: str, script: str) -> tuple[frozenset[int], bool]:
    """The ports that Python files below the script directory name, whosever they are, and those of databases that
    other files name, also such as git does not hold; and whether one names a Unix socket. A migration may start a
    program that goes there.
    """
    paths = trees.files_matching(repository, "[0-9]{4}", commit, f"{script}/*.py")
    found = ports.named(trees.read_many(repository, commit, paths).values())
    paths = trees.files_matching(repository, URL, commit, "*.py")
    found |= ports.in_urls(trees.read_many(repository, commit, paths).values())
    paths = trees.files_matching(repository, NAMES_A_PORT, commit, *CONFIGURATION)
    texts = [*trees.read_many(repository, commit, paths).values(), *untracked(repository, CONFIGURATION)]
    return found | ports.configured(texts), ports.by_socket(texts, ())


def untracked(repository: Repository, globs: Sequence[str]) -> Iterator[str]:
    """The texts of files of these names in the work tree that git does not hold."""
    listed = repository.run("ls-files", "-z", "--others", "--directory", "--no-empty-directory").stdout.split("\0")
    for path in (repository.top / one for one in listed if one):
        # Of a directory that git knows nothing in, what lies at its top: it may be an environment.
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            fits = any(fnmatch(file.name, one) for one in globs)
            if fits and file.is_file() and file.stat().st_size < LARGEST:
                yield file.read_text(encoding="utf-8", errors="replace")


# What a run answers: an argument of -x, an option, a setting of the application, the schema that it is for; and what
# the server does: which roles and extensions it has, its version, what whoever runs it may do.
OF_THE_RUN = re.compile(
    r"\.(get_x_argument|get_main_option|get_section|get_section_option|config\.attributes|server_version_info)$"
    r"|^\.current_app\."
)
OF_THE_RUN_SQL = re.compile(
    r"\b(current_(?:schemas?|database|catalog|setting)|pg_(?:roles|user|authid|shadow|group|has_role|settings|database)"
    r"|pg_available_extension\w*|has_\w+_privilege|server_version(?:_num)?|to_regrole)\b", re.I
)  # fmt: skip
ASKING = re.compile("get_|attributes|current_|settings|conf|pg_|privilege|server_version|to_regrole", re.I)
SETTINGS = re.compile(r"(^|[._])(settings|config|conf|configuration)$")


def asks_of_the_run(sources: Mapping[str, str]) -> list[Read]:
    """Places where migrations ask something that another run or server may answer otherwise; by the names of modules
    and objects, also an application's own settings.
    """
    found: dict[tuple[str, int, str], Read] = {}
    imported: dict[str, set[str]] = {}
    for path, node in nodes(sources, ASKING):
        line = getattr(node, "lineno", 0)
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            known = imported.setdefault(path, set())
            whole = SETTINGS.search(node.module or "") is not None
            known.update(one.asname or one.name for one in node.names if whole or SETTINGS.search(one.name))
        elif isinstance(node, ast.Attribute):
            written = dotted(node)
            if OF_THE_RUN.search(f".{written}") or written.partition(".")[0] in imported.get(path, ()):
                names = [written.lstrip(".")]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = OF_THE_RUN_SQL.findall(node.value)
        for name in names:
            # Of a.b.c the longest alone: the shorter ones stand in the same place.
            if not any(other.startswith(f"{name}.") for at, number, other in found if (at, number) == (path, line)):
                found.setdefault((path, line, name), Read(name, path, line))
    return sorted(found.values(), key=lambda read: (read.path, read.line))


# What changes files: each replay does it anew, in this work tree.
WRITES = re.compile(
    r"^(shutil\.(move|copy\w*|rmtree)|os\.(remove|rename|replace|unlink|rmdir|makedirs|mkdir|renames|removedirs))$"
    r"|\.(write_text|write_bytes|unlink|touch|rmdir|symlink_to|hardlink_to)$"
)
# Of pathlib: a string has a replace of its own, with two arguments.
MOVES = re.compile(r"\.(rename|replace)$")


def file_writes(sources: Mapping[str, str]) -> list[Read]:
    """Calls with which migrations write, move or delete files."""
    found = []
    for path, node in nodes(
        sources, re.compile(r"shutil|os\.|open\(|write_|unlink|touch|rmdir|rename|replace|link_to")
    ):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        mode = next((text for one in [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
                     if (text := constant(one))), "")  # fmt: skip
        opens = called.rpartition(".")[2] == "open" and any(letter in mode for letter in "wax+")
        name = called or f".{getattr(node.func, 'attr', '')}"
        if opens or WRITES.search(name) or (MOVES.search(name) and len(node.args) == 1 and not node.keywords):
            found.append(Read(name.lstrip("."), path, node.lineno))
    return found


# Modules that talk to something else than the database of the migrations.
OUTSIDE = re.compile(
    r"(aiohttp|boto3|botocore|cassandra|clickhouse_connect|elasticsearch|ftplib|httpx|kafka|ldap3?|mysql|opensearchpy"
    r"|paramiko|pika|pymongo|pymysql|redis|requests|smtplib|socket|sqlite3|subprocess|urllib3|urllib\.request)(\.|$)"
)


def imports_of_outside(sources: Mapping[str, str]) -> list[Read]:
    """Imports with which migrations reach other programs, stores or machines: in each replay, too."""
    found = []
    for path, node in nodes(sources, re.compile("import")):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        found += [Read(name, path, node.lineno) for name in names if OUTSIDE.match(name)]  # type: ignore[attr-defined]
    return found


DEFAULTS = ("server_default", "default", "server_onupdate", "onupdate")


def chance_calls(sources: Mapping[str, str]) -> list[Read]:
    """Calls (and SQL functions in strings) that give another value in each run: time, random numbers, uuids. Not those
    in a column's default, which stays one.
    """
    found: dict[tuple[str, int, str], Read] = {}
    defaults: set[ast.AST] = set()  # a node comes before what is in it
    for path, node in nodes(sources, CHANCE_WORD):
        names: list[str] = []
        if isinstance(node, ast.keyword) and (node.arg or "").removeprefix("existing_") in DEFAULTS:
            defaults.update(ast.walk(node.value))
        if node in defaults:
            continue
        if isinstance(node, ast.Call):
            names = [name for name in [dotted(node.func)] if CHANCE.search(name)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [match.group(0).rstrip("( ") for match in CHANCE_SQL.finditer(node.value)]
        for name in names:
            line = getattr(node, "lineno", 0)
            found.setdefault((path, line, name.lower()), Read(name, path, line))
    return list(found.values())


OTHER_DATABASE = re.compile(r"(sqlite|mysql|mariadb|oracle|mssql)(\+\w+)?(:/*)?", re.IGNORECASE)


def other_databases(sources: Mapping[str, str]) -> list[Read]:
    """Strings with which code tells another database from PostgreSQL: dialect.name == "sqlite", startswith("mysql")."""
    return [
        Read(node.value, path, node.lineno)
        for path, node in nodes(sources, OTHER_DATABASE)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OTHER_DATABASE.fullmatch(node.value)
    ]


# postgres:15, postgis/postgis:15-3.4, postgresql-15, POSTGRES_VERSION: "15" …
IMAGE = re.compile(
    r"\bpost(?:gres(?:ql)?|gis)(?:[-_ ]?version)?[\"']?\s*[:=@-]\s*[\"']?v?(\d{2})(?![\d.]*\d{3})\b", re.IGNORECASE
)


def declared_majors(repository: Repository, commit: str) -> dict[int, str]:
    """PostgreSQL majors that the project's compose, Docker and CI files name, each with the first file that does."""
    found: dict[int, str] = {}
    names = re.compile(
        r"(^|/)(docker-compose|compose|Dockerfile|\.gitlab-ci|\.travis|azure-pipelines|Jenkinsfile)|^\.(github|circleci)/"
    )
    for path in trees.files_matching(repository, "[Pp]ost(gres|gis|GRES|gres)", commit, "*"):
        if names.search(path):
            for match in IMAGE.finditer(repository.read(commit, path)):
                if 9 < int(match.group(1)) < 40:
                    found.setdefault(int(match.group(1)), path)
    return found


def nodes(sources: Mapping[str, str], word: re.Pattern[str] | None = None) -> Iterator[tuple[str, ast.AST]]:
    """Every node of every source that parses, with its path; of those alone in which a ``word`` occurs, as it could
    only be missed where it is written with escapes.
    """
    for path, source in sorted(sources.items()):
        if word is not None and not word.search(source) and "\\" not in source:
            continue
        try:
            tree = parsed(source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            yield path, node


def strings(sources: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
    """(path, line, text) of every string that is no docstring."""
    for path, source in sources.items():
        yield from ((path, line, text) for line, text in _strings_of(source))


@cache
def _strings_of(source: str) -> tuple[tuple[int, str], ...]:
    """(line, text) of a source's strings. Kept: several questions are asked of the same migrations."""
    said: list[ast.Constant] = []
    found: list[tuple[int, str]] = []
    for _, node in nodes({"": source}):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.append(node.value)  # a node comes before what is in it
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
            found.append((node.lineno, node.value))
    return tuple(found)
