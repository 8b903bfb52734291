"""Several databases in one script directory: what the project's files say of them, and that each is reached by its own
variable. Reads only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasklib import binds, configs, environment, inis, sources, variables
from tasklib.git import Repository, remembered
from tasklib.plan import Layout
from tasklib.sources import Read, constant

CONFIG = "SQLALCHEMY_BINDS"


@dataclass(frozen=True)
class Named:
    """Binds that a file of the project names, each with what its address is read from, or "" where that is not seen.

    ``default`` is whether there is a default database beside them, as with Flask-SQLAlchemy.
    """

    place: str
    names: Mapping[str, str]
    default: bool

    @property
    def binds(self) -> tuple[str, ...]:
        return (*([""] if self.default else []), *self.names)


@remembered
def named(repository: Repository, commit: str, layout: Layout) -> Named | None:
    """The binds that the project's files name: in SQLALCHEMY_BINDS, or in the ini's ``databases``.

    None where there is neither, or env.py has no word for several databases.
    """
    env = configs.text_of(repository, commit, f"{layout.script}/env.py")
    if re.search(r"\b(engine_name|bind_names|db_names)\b", env) is None:
        return None
    if layout.kind == "alembic":
        text = configs.text_of(repository, commit, layout.ini) if layout.ini else ""
        listed = re.split(r",\s*", inis.option(text, layout.section, "databases") or "")
        names = {name: f"{name}:sqlalchemy.url" if inis.option(text, name, "sqlalchemy.url") is not None else ""
                 for name in listed if name}  # fmt: skip
        return Named(f"{layout.ini} names", names, default=False) if names else None
    texts = repository.read_many(commit, repository.files_matching(CONFIG, commit, "*.py"))
    for path, node in sources.nodes(texts):
        for value in _assigned(node):
            names = {name: _read(one) for key, one in zip(value.keys, value.values, strict=True)
                     if key is not None and (name := constant(key))}  # fmt: skip
            if names:
                return Named(f"{CONFIG} in {path} names", names, default=True)
    return None


def _assigned(node: ast.AST) -> Iterator[ast.Dict]:
    """The dictionaries that a statement, a keyword or a key gives to SQLALCHEMY_BINDS."""
    pairs: list[tuple[ast.expr | str | None, ast.expr | None]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign):
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.keyword):
        pairs = [(node.arg, node.value)]
    elif isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
    for target, value in pairs:
        if isinstance(value, ast.Dict) and _is_config(target):
            yield value


def _is_config(target: ast.expr | str | None) -> bool:
    if target is None or isinstance(target, str):
        return target == CONFIG
    if isinstance(target, ast.Subscript):
        return constant(target.slice) == CONFIG
    return constant(target) == CONFIG or sources.dotted(target).rpartition(".")[2] == CONFIG


def _read(value: ast.expr) -> str:
    """The variable that an expression reads, or ""."""
    read = environment.environment_reads({"": ast.unparse(value)})
    return read[0].name if read else ""


def hint(found: Named | None, templates: Sequence[tuple[str, str]], reads: Sequence[Read]) -> str:
    """What to type so that each database has its variable; ``templates`` are those that were given, ``reads`` the
    likely variables that the project's files read.
    """
    if found is None:
        given = {name for name, _ in templates}
        listed = ", ".join(read.shown for read in reads if read.name not in given)
        text = "--set NAME={url:BIND} for each of them, by the name that env.py has for it; {url} is the default one"
        return f"{text}; the project's files read {listed}" if listed else text
    of = {variable: bind for bind, variable in found.names.items() if variable}
    words: dict[str, str] = {}
    leading = [(name, template) for name, template in templates if binds.PLACEHOLDER.search(template)]
    for name, template in leading:
        theirs = binds.named([(name, template)])
        if set(theirs) <= set(found.binds) and all(
            of.get(name, bind) == bind and found.names.get(bind, "") in ("", name) for bind in theirs
        ):
            words[name] = template
    there = set(binds.named(words.items())) if words else set()
    spare = [read.name for read in reads if read.name not in of and variables.form_of(read.name)[0] == "{url}"]
    missing = [bind for bind in found.binds if bind not in there]
    typed = [f"--set {name}={template}" for name, template in words.items()]
    for bind in missing:
        variable = found.names.get(bind, "") if bind else next(iter(spare), "")
        form = variables.form_of(variable)[0] or "{url}"
        typed.append(f"--set {variable or 'NAME'}={form.replace('}', f':{bind}}}') if bind else form}")
    unsaid = [read.shown for read in reads if not any(one.startswith(f"--set {read.name}=") for one in typed)]
    more = unsaid and any(one.startswith("--set NAME=") for one in typed)
    return " ".join(typed) + (f"; the project's files read {', '.join(unsaid)}" if more else "")


# --- where env.py went ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """One of env.py's connections in a run of `current`: its name for the database, and the revisions printed."""

    bind: str
    said: tuple[str, ...]


def visits(parts: Sequence[Sequence[str]], engines: Sequence[Mapping[str, str]], names: Collection[str]) -> list[Visit]:
    """The connections of a run, in order; empty where env.py does not name its databases.

    ``parts`` are the revisions that `current` printed for each, ``engines`` the arguments with which it ran migrations
    there; of several arguments that one counts which holds one of ``names`` most often.
    """
    keys = {key for engine in engines for key in engine}
    if not keys or len(engines) != len(parts):
        return []
    best = max(sorted(keys), key=lambda key: sum(engine.get(key) in names for engine in engines))
    return [Visit(engine.get(best, ""), tuple(said)) for engine, said in zip(engines, parts, strict=True)]


def count(connections: int, given: tuple[str, ...], found: Named | None, seen: Sequence[Visit]) -> str:
    """The sentence for another number of databases than the templates name."""
    names = [visit.bind for visit in seen] or (list(found.binds) if found is not None else [])
    if seen:
        of = f" ({binds.listed(names)})"
    else:
        of = f" ({found.place} {binds.listed(found.names)})" if found is not None else ""
    said = f"--set names {len(given)}: {binds.listed(given)}" if given != ("",) else "--set and --uri-var name one"
    plural = "databases" if connections != 1 else "database"
    text = f"env.py connects to {connections} {plural}{of}; {said}."
    left = [bind for bind in given if bind not in names] if seen else []
    return f"{text} It goes nowhere for {binds.listed(left)}." if left else text


def mistaken(
    seen: Sequence[Visit], markers: Mapping[str, str | None], right: Sequence[bool], given: tuple[str, ...]
) -> str:
    """The sentence for connections that are not each where its own variable leads.

    ``markers`` are the ids that the databases held, of which one is in one alone; ``right`` says which visits were.
    """
    names = {visit.bind for visit in seen}
    if names != set(given) or len(seen) != len(names):
        return f"env.py calls its databases {binds.listed(v.bind for v in seen)}; --set names {binds.listed(given)}."
    alone = next(one for one in markers if list(markers.values()).count(markers[one]) == 1)
    wrong = [visit for visit, good in zip(seen, right, strict=True) if not good]
    for visit in wrong:
        if markers[alone] in visit.said and visit.bind != alone:
            return (
                f"For {binds.shown(visit.bind)}, env.py goes to the scratch database of {binds.shown(alone)}: the "
                "variables are swapped, or one is given to both."
            )
    first = wrong[0]
    return (
        f"For {binds.shown(first.bind)}, env.py does not go to the scratch database that stands for it: `current` was "
        f"expected to print {markers[first.bind] or 'no revision'} there and printed "
        f"{' and '.join(first.said) or 'no revision'}."
    )


# Roles are made in the transaction of one database, and another one does not see them before it ends.
ROLES = (
    "Migrations make or change roles, which belong to the server, and --set names several databases: a base migration "
    "could not make them for all of these.\n  {}"
)
NO_ROLES = "make the roles outside of the migrations, and take this out of them, in a commit of its own"
UNNAMED = (
    "env.py connects to several databases and does not name them to their migrations, as run_migrations(engine_name=…) "
    "does: what belongs to which of them cannot be told."
)
