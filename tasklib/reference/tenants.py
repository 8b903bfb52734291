"""Histories that run for a schema which an argument (-x) or a variable of the run names: one for each tenant, say.

What one run built would name that schema alone. So the old chain is run for another name too, where the name of a
schema may come from such a place, and the new chain must build the same there.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from tasklib import console
from tasklib.command.project_command import Ran
from tasklib.command.watch import Visit
from tasklib.history.chains import Chain
from tasklib.postgres import client
from tasklib.postgres.client import sql
from tasklib.project import configs, variables_read
from tasklib.project.sources import constant, nodes
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND

OTHER = "squash_other_schema"  # the name that the second run gets
USUAL = "public"  # what a base migration need not name
OLD, NEW = "otherold", "othernew"  # the roles of its databases
SCHEMAS = """
SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT LIKE 'pg\\_%'
"""


@dataclass(frozen=True)
class Chosen:
    """What gives a schema its name: ``kind`` is "argument" (-x) or "variable"; ``value`` is the name in this run, and
    ``other`` what it gets in the second one: a name, or the list that the user's shell has.
    """

    kind: str
    name: str
    value: str
    other: str = OTHER

    @property
    def shown(self) -> str:
        return f"the argument -x {self.name}=…" if self.kind == "argument" else f"the variable {self.name}"

    @property
    def others(self) -> tuple[str, ...]:
        """The schemas of the second run."""
        return listed(self.other)

    def options(self) -> tuple[str, ...]:
        return ("-x", f"{self.name}={self.other}") if self.kind == "argument" else ()

    def environment(self) -> dict[str, str]:
        return {self.name: self.other} if self.kind == "variable" else {}


def listed(value: str) -> tuple[str, ...]:
    """The names in a value that may be a list of them."""
    return tuple(re.split(r"[\s,;:]+", value.strip()))


def leave_one(bench: Bench, visits: Sequence[Visit]) -> bool:
    """Whether a variable lists the schemas that env.py went through: from now on it gets public alone."""
    with client.connect(bench.address(GROUND), read_only=True) as connection:
        there = {str(name) for (name,) in connection.rows("SELECT nspname FROM pg_namespace")}
    for one in _candidates(bench):
        schemas = listed(one.value)
        if one.kind == "variable" and len(schemas) == len(visits) and {*schemas} <= there:
            shown = f"{one.shown} lists ({', '.join(schemas)})"
            console.note(f"  … env.py goes through the schemas that {shown}: here that is {USUAL} alone")
            bench.drop(GROUND)
            bench.save(replace(bench.plan, found=(*bench.plan.found, (one.name, USUAL))))
            return True
    return False


def learn(bench: Bench, chain: Chain, role: str) -> Mapping[str, str] | None:
    """What chooses the schema of a database at R (that of ``role``), as the plan keeps it; None where nothing does.

    The old chain's run for the other name is then in the databases of `OLD`.
    """
    if len(bench.binds) > 1:
        return None
    with client.connect(bench.address(role), read_only=True) as connection:
        there = {str(name) for (name,) in connection.rows(SCHEMAS)}
    for one in dict.fromkeys(_candidates(bench)):
        if one.value not in there:
            continue
        with console.doing(f"the old chain once more: does {one.shown} choose the schema {one.value}?"):
            ran = _upgrade(bench, chain, OLD, one)
            with client.connect(bench.address(OLD), read_only=True) as connection:
                now = {str(name) for (name,) in connection.rows(SCHEMAS)}
            if {*one.others} <= now and ran.code == 0:
                also = " and ".join(one.others)
                console.note(f"    it does: the base migration must serve any schema, and is proven for {also} too")
                return asdict(one)
            bench.drop(OLD)
    return None


def known(bench: Bench) -> Chosen | None:
    found = (bench.plan.replayed or {}).get("tenant")
    return Chosen(**found) if found else None


def build(bench: Bench, chain: Chain, one: Chosen) -> Ran:
    """The new chain to R for the other name, in the databases of `NEW`."""
    return _upgrade(bench, chain, NEW, one)


def _upgrade(bench: Bench, chain: Chain, role: str, one: Chosen) -> Ran:
    bench.create(role)
    address = bench.address(role)
    with client.connect(address) as connection:
        for schema in one.others:
            connection.run(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    command, targets = bench.command(), bench.targets(role)
    words = ["upgrade", bench.plan.revision]
    return command.run(chain, words, targets, extra=one.environment(), options=one.options())


def _candidates(bench: Bench) -> Iterator[Chosen]:
    """Arguments and variables of the run whose value may be a schema's name."""
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
                # One that lists several in the user's shell is proven for these.
                narrowed = (name, USUAL) in bench.plan.found
                yield Chosen("variable", name, USUAL, held) if narrowed else Chosen("variable", name, held)
    env = configs.text_of(bench.repository, bench.plan.tip, f"{bench.plan.layout.script}/env.py")
    if "get_x_argument" in env:
        yield from _arguments(env)


def _arguments(env: str) -> Iterator[Chosen]:
    """Of an env.py, the names that are looked up with a default: get_x_argument(as_dictionary=True).get("a", "b")."""
    for _, node in nodes({"": env}):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            name, value = (constant(one) for one in node.args[:2]) if len(node.args) > 1 else (None, None)
            if name and value:
                yield Chosen("argument", name, value)
