"""Histories that run for a schema which an argument (-x) or a variable of the run names: one for each tenant, say.

What one run built would name that schema alone. So such a place leads to public here, of which a base migration need
not speak; the old chain is run for another name too, and the new chain must build the same there.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from urllib.parse import unquote

from tasklib import console
from tasklib.command.project_command import Ran
from tasklib.command.run_errors import NO_SCHEMA
from tasklib.command.watch import Visit
from tasklib.errors import Refused
from tasklib.history.chains import Chain
from tasklib.postgres import client
from tasklib.postgres.client import sql
from tasklib.project import configs, sources, variables_read
from tasklib.project.sources import constant, dotted, nodes
from tasklib.reference.targets import Learnt
from tasklib.repository import trees
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND

OTHER = "squash_other_schema"  # the name that the second run gets
USUAL = "public"  # what a base migration need not name
OLD, NEW = "otherold", "othernew"  # the roles of its databases
WHERE_NAMED = ("*.py", "*.ini", "*.toml", "*.cfg", "*.y*ml", "*.json")
SCHEMAS = """
SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT LIKE 'pg\\_%'
"""


@dataclass(frozen=True)
class Chosen:
    """What gives a schema its name: ``kind`` is "argument" (-x) or "variable", with its ``value`` and the ``schema`` in
    this run; ``other`` is what it gets in the second one (a name, or the list that the user's shell has) and ``others``
    the schemas of that. ``alone``: the second run is not followed by a usual one in the same database.
    """

    kind: str
    name: str
    value: str
    schema: str = ""
    other: str = OTHER
    others: tuple[str, ...] = ()
    alone: bool = False

    @property
    def shown(self) -> str:
        return f"the argument -x {self.name}=…" if self.kind == "argument" else f"the variable {self.name}"

    @property
    def schemas(self) -> tuple[str, ...]:
        """All that the runs in the databases of `OLD` and `NEW` are for."""
        return (*self.others, *(() if self.alone else (self.schema,)))

    def options(self) -> tuple[str, ...]:
        return ("-x", f"{self.name}={self.other}") if self.kind == "argument" else ()

    def environment(self) -> dict[str, str]:
        return {self.name: self.other} if self.kind == "variable" else {}

    def of(self, schema: str) -> Chosen | None:
        """This, where it may give that schema its name: by itself, or with something before or after it."""
        if self.other != OTHER:  # it leads to public here
            others = listed(self.other)
            return replace(self, schema=schema, others=others, alone=len(others) > 1) if schema == USUAL else None
        if listed(self.value) == (schema,):
            return replace(self, schema=schema, other=_like(self.value, OTHER), others=(OTHER,))
        part = re.sub(r"\W", "_", self.value.casefold())
        if schema == USUAL or len(part) < 2 or part not in schema:
            return None
        return replace(self, schema=schema, others=(schema.replace(part, OTHER),))


def listed(value: str) -> tuple[str, ...]:
    """The names in a value that may be a list of them, as words or in JSON."""
    return tuple(re.split(r"[\s,;:]+", value.strip())) if (found := _json(value)) is None else found


def _json(value: str) -> tuple[str, ...] | None:
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return tuple(map(str, found)) if isinstance(found, list) else None


def _like(value: str, name: str) -> str:
    """The name alone, in the form that a value has."""
    return name if _json(value) is None else json.dumps([name])


def _to_public(bench: Bench, one: Chosen) -> bool:
    """Have it lead to public from now on; False where it does already, or the user has set it."""
    plan = bench.plan
    if one.name in {*dict(plan.settings.set), *(name for _, name, _, _ in plan.in_public)}:
        return False
    ours = (one.kind, one.name, _like(one.value, USUAL), one.value)
    # The version table may have been in the other schema.
    bench.save(replace(plan, in_public=(*plan.in_public, ours), version_table=None))
    return True


def leave_one(bench: Bench, visits: Sequence[Visit]) -> bool:
    """Whether a variable lists the schemas that env.py went through: from now on it gets public alone."""
    with client.connect(bench.address(GROUND), read_only=True) as connection:
        there = {str(name) for (name,) in connection.rows("SELECT nspname FROM pg_namespace")}
    for one in _candidates(bench):
        schemas = listed(one.value)
        wanted = one.kind == "variable" and len(schemas) == len(visits) and {*schemas} <= there
        if wanted and _to_public(bench, one):
            shown = f"{one.shown} lists ({', '.join(schemas)})"
            console.note(f"  … env.py goes through the schemas that {shown}: here that is {USUAL} alone")
            bench.drop(GROUND)
            return True
    return False


def refuse_nowhere(bench: Bench, ran: Ran) -> None:
    """Raises `Learnt` where a run has found no schema to begin in, and an argument may choose it, which leads to public
    from now on: it was not given, or an operator makes the schema beforehand.
    """
    if NO_SCHEMA not in ran.stderr:
        return
    for one in _named(bench):
        if one.kind == "argument" and one.value != USUAL and _to_public(bench, one):
            raise Learnt(f"The search_path leads to no schema of an empty database: {one.shown} leads to {USUAL} now.")


def learn(bench: Bench, chain: Chain, role: str) -> Mapping[str, object] | None:
    """What chooses the schema of a database at R (that of ``role``), as the plan keeps it; None where nothing does.

    The old chain's run for the other name, and a usual one after it, are then in the databases of `OLD`. Raises
    `Learnt` where it can lead to public instead: from now on it does.
    """
    if len(bench.binds) > 1:
        return None
    with client.connect(bench.address(role), read_only=True) as connection:
        there = sorted(str(name) for (name,) in connection.rows(SCHEMAS))
    maybe = [one.of(schema) for one in dict.fromkeys(_candidates(bench)) for schema in there]
    # Settings are read in many ways; a variable that holds the very name is tried whoever reads it.
    held = (Chosen("variable", *pair) for pair in bench.addresses().environment().items())
    maybe += [one.of(schema) for one in held for schema in there if listed(one.value) == (schema,)]
    for one in dict.fromkeys(one for one in maybe if one is not None):
        with console.doing(f"the old chain once more: does {one.shown} choose the schema {one.schema}?"):
            ran = _upgrade(bench, chain, OLD, one)
            with client.connect(bench.address(OLD), read_only=True) as connection:
                now = {str(name) for (name,) in connection.rows(SCHEMAS)}
            if {*one.others} <= now and ran.code == 0:
                if listed(one.value) == (one.schema,) and one.schema != USUAL and _to_public(bench, one):
                    raise Learnt(
                        f"It does. A base names no schema where the migrations make everything in {USUAL}: "
                        f"{one.shown} leads there now."
                    )
                also = " and ".join(one.others)
                console.note(f"    it does: the base migration must serve any schema, and is proven for {also} too")
                if not one.alone and _usual(bench, chain, OLD).code:
                    # Not even the old migrations run for two of them in one database.
                    one = replace(one, alone=True)
                    _upgrade(bench, chain, OLD, one)
                return asdict(one)
            bench.drop(OLD)
    _refuse_from_outside(bench, there)
    return None


def _refuse_from_outside(bench: Bench, schemas: Sequence[str]) -> None:
    """`Refused` where env.py makes a schema for the migrations' objects whose name is in no file of the project, and in
    what this machine alone has.
    """
    for schema in schemas:
        if schema == USUAL or f"schema {schema}" not in bench.plan.ground:
            continue
        word = re.compile(rf"(?<![a-zA-Z0-9]){re.escape(schema)}(?![a-zA-Z0-9])")
        named = trees.files_matching(bench.repository, re.escape(schema), bench.plan.tip, *WHERE_NAMED)
        here = (*bench.addresses().environment().values(), *sources.untracked(bench.repository, "*"))
        if not named and any(word.search(unquote(text)) for text in here):
            raise Refused(
                f"The migrations make their objects in the schema {schema}, which env.py makes and no tracked file "
                "names: it comes from elsewhere (the search_path of an address, a file that git does not hold), and "
                f"may be another one on another machine. A base migration would say {schema} to everybody.",
                "have env.py take the schema's name from a variable, in the words os.environ.get('NAME', 'public')",
            )


def known(bench: Bench) -> Chosen | None:
    found = (bench.plan.replayed or {}).get("tenant")
    return Chosen(**found) if found else None


def build(bench: Bench, chain: Chain, one: Chosen) -> Ran:
    """The new chain to R as the old one was run in the databases of `OLD`, in those of `NEW`."""
    ran = _upgrade(bench, chain, NEW, one)
    return ran if ran.code or one.alone else _usual(bench, chain, NEW)


def _upgrade(bench: Bench, chain: Chain, role: str, one: Chosen) -> Ran:
    bench.create(role)
    with client.connect(bench.address(role)) as connection:
        for schema in one.others:
            connection.run(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    words = ["upgrade", bench.plan.revision]
    return bench.command().run(chain, words, bench.targets(role), extra=one.environment(), options=one.options())


def _usual(bench: Bench, chain: Chain, role: str) -> Ran:
    return bench.command().run(chain, ["upgrade", bench.plan.revision], bench.targets(role))


def _candidates(bench: Bench) -> Iterator[Chosen]:
    """Arguments and variables of the run whose value may be a schema's name."""
    yield from (Chosen(kind, name, USUAL, other=theirs or OTHER) for kind, name, _, theirs in bench.plan.in_public)
    yield from _named(bench)


def _named(bench: Bench) -> Iterator[Chosen]:
    words = bench.plan.layout.command
    for before, word in pairwise(words):
        if before == "-x" and "=" in word:
            name, _, value = word.partition("=")
            yield Chosen("argument", name, value)
    for name, template in bench.plan.settings.set:
        yield Chosen("variable", name, template)
    addresses = bench.addresses()
    for name, read in variables_read.all_reads(bench.repository, bench.plan.tip).items():
        for held in dict.fromkeys((os.environ.get(name), addresses.held(name), read.default)):
            if held:
                yield Chosen("variable", name, held)
    env = configs.text_of(bench.repository, bench.plan.tip, f"{bench.plan.layout.script}/env.py")
    if "get_x_argument" in env:
        yield from _arguments(env)


def _arguments(env: str) -> Iterator[Chosen]:
    """Of an env.py, the names that are looked up with a default, get_x_argument(as_dictionary=True).get("a", "b"), or
    without any, or beside a literal that may be one: (… or {"a": "b"})["a"], "b" if "a" not in … else ….
    """
    bare: dict[str, None] = {}
    names: dict[str, None] = {}
    texts: dict[str, None] = {}
    for _, node in nodes({"": env}):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            name, value = (constant(one) for one in node.args[:2]) if len(node.args) > 1 else (None, None)
            if name and value:
                yield Chosen("argument", name, value)
            if len(node.args) == 1 and not dotted(node.func).endswith("environ.get"):
                bare |= dict.fromkeys(filter(None, [constant(node.args[0])]))
        found = [node.slice] if isinstance(node, ast.Subscript) else []
        found += [node.left] if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn) else []
        names |= dict.fromkeys(name for one in found if (name := constant(one)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            texts[node.value] = None
    yield from (Chosen("argument", name, "") for name in bare)
    for name in names:
        yield from (Chosen("argument", name, text) for text in texts if text != name)
