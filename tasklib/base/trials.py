"""Drafts of the base migration, until the candidate is the reference: by trying, each object in the form that comes out
exact.

An object is an operation first. The server's own DDL stands for it where the operation fails or makes something else,
and where only the DDL comes out to the letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence, Set

from tasklib.errors import Differs, Failed, MigrationFailed, Refused
from tasklib.judge import bindings, built_in, compare, object_counts
from tasklib.judge.compare import Verdict
from tasklib.judge.objects import Difference
from tasklib.postgres import sqltext
from tasklib.postgres.archive import Key, shown
from tasklib.render import children, constraints, entries, items
from tasklib.render.file import File, Mark, failed

# Kinds of objects that the dump's own DDL stands for where our words do not make the same.
FALLBACKS = (
    *("TABLE", "COMMENT", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "SEQUENCE", "VIEW", "MATERIALIZED VIEW"),
    *("CHECK CONSTRAINT", "DOMAIN", "POLICY", "RULE", "STATISTICS", "TRIGGER", "TYPE"),
    *("FUNCTION", "PROCEDURE", "AGGREGATE", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "COLLATION"),
    *("CONVERSION", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "FOREIGN TABLE", "SHELL TYPE", "ACL"),
    *("EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "CAST", "DEFAULT", "ROW SECURITY", "TRANSFORM"),
    built_in.OF_A_SCHEMA,
)
# Kinds that run functions of the history's when they are made; these may read what comes later.
RUNNING = ("ROWS", "INDEX", "CONSTRAINT", "REFRESH")
# What no dump can restore, by the judge's kinds: why, and what to do in the migrations.
NOT_IN_A_DUMP = {
    "BUILT-IN OBJECTS": "it changes what PostgreSQL itself brings",
    bindings.CONVERSIONS: "it leaves an expression whose conversions read back otherwise, since there is a cast now",
    "DROPPED COLUMN": "it leaves a view of a column that is gone (it edited pg_depend)",
    "EXTENSION MEMBERS": "it changes what an extension brings",
    "INDEX OF A FOREIGN KEY": "it has two indexes on the columns that a foreign key refers to (drop one of them)",
    "INVALID INDEX": "it leaves an invalid index (REINDEX or DROP INDEX in the migration)",
    "LANGUAGE PRIVILEGE": "it changes privileges on a language of PostgreSQL's own",
    "LARGE OBJECT": "it makes large objects (keep the bytes in a table, or make them in a migration that stays)",
    "OBJECT IN A SCHEMA OF POSTGRESQL": "it makes objects in PostgreSQL's own schemas",
    "REPLICA IDENTITY": "it leaves a table whose replica identity is an index that is gone (REPLICA IDENTITY DEFAULT)",
    "SCHEMA OF EVERY DATABASE": "it drops a schema that every new database comes with",
    "SHELL OPERATOR": "it leaves an operator that one which is gone had only named (DROP OPERATOR)",
    "TOAST OPTIONS": "it leaves options of a TOAST table that no column needs any more (RESET them)",
}

# A check that is not the one which comes down from a parent.
TWICE = re.compile(r'constraint "(.+?)" for relation ".+?" already exists')

Verdicts = Mapping[str, Verdict]  # by bind


def converge(
    render: Callable[[frozenset[Mark], bool], File],
    attempt: Callable[[File, int], Verdicts | None],
    doomed: Callable[[str, Key | None, Failed | Verdict], None],
    revision: str,
) -> tuple[File, Verdicts]:
    """The file that makes the reference, and the verdicts on what it made.

    ``render`` writes the file with these objects as DDL, or as a survey of what fails (see `file.assemble`);
    ``attempt`` builds the candidate with it (the second argument says how many objects are DDL) and compares; None
    where it learnt what the file must say instead. It goes on while each round makes progress. Raises `Failed` where
    the migration of ``revision`` cannot run, `Differs` where it does not make the same, `Refused` where no dump could:
    ``doomed`` is asked that, with the bind, the object that failed, and what went wrong.
    """
    ddl: frozenset[Mark] = frozenset()
    # Tried as DDL only because they print differently: those of this round, and all so far.
    trial: frozenset[Mark] = frozenset()
    tried: frozenset[Mark] = frozenset()
    while True:
        file = render(ddl, False)
        try:
            verdicts = attempt(file, len(ddl))
        except MigrationFailed as error:
            first = _culprit(error, file, revision)
            twice = TWICE.search(error.text)
            if (
                twice
                and first
                and not trial
                and (alike := (first[0], (constraints.SAME_NAME, "", twice[1]))) not in ddl
            ):
                ddl |= {alike}
            elif trial:
                ddl, trial = ddl - trial, frozenset()
            elif first is None or (form := _next_form(first, ddl)) is None:
                if first:
                    doomed(*first, error)
                what = shown(first[1]) if first else "a statement"
                hint = f"your own migrations ran, so this is a gap of this program: please report {what}, as said above"
                raise Failed(error.text, hint) from None
            else:
                others = _others(render(ddl, True), attempt, len(ddl))
                ddl |= {form} | {other for mark in others if (other := _next_form(mark, ddl)) is not None}
            continue
        if verdicts is None:
            continue
        found = {bind: one.found for bind, one in verdicts.items()}
        # Names that the server makes up depend on the order of all else, and so they are learnt last.
        more = (
            _marks(found, _learnt) - ddl
            or _marks(found, _other_names) - ddl
            or _marks(found, _bound_too_early) - ddl
            or _marks(found, _without_a_path) - ddl
        )
        differ = any(one.found for one in verdicts.values())
        inexact = _marks({bind: one.reprinted for bind, one in verdicts.items()}, _learnt)
        if trial and (differ or trial & inexact):
            ddl -= trial if differ else trial & inexact  # it did not help
            trial = frozenset()
        elif differ and not more:
            _refuse_what_no_dump_holds(verdicts)
            for bind, one in verdicts.items():
                if one.found:
                    doomed(bind, None, one)
            raise Differs(
                "The base migration could not be brought to make the reference. What is left:\n"
                + compare.report(verdicts, "reference", "candidate"),
                "this is a gap of this program: please report the objects above",
                compare.side_by_side(verdicts, f"at {revision}"),
            )
        elif differ:
            ddl |= more
        elif not inexact - ddl - tried:
            return file, verdicts
        else:
            trial = inexact - ddl - tried
            tried |= trial
            ddl |= trial


def _refuse_what_no_dump_holds(verdicts: Verdicts) -> None:
    """`Refused` where all that differs is of a kind that pg_dump, too, would lose."""
    found = [difference for verdict in verdicts.values() for difference in verdict.found]
    known = [difference for difference in found if difference.kind in NOT_IN_A_DUMP]
    # A table says its options, too.
    tables = {("TABLE", *one.key[1:]) for one in known if one.kind == "TOAST OPTIONS"}
    # Nor is it any more in the numbers of what each class has.
    aside = [
        one for one in found if one not in known and one.key not in tables and one.kind != object_counts.DIFFERENCE
    ]
    if known and not aside:
        why = "; ".join(dict.fromkeys(NOT_IN_A_DUMP[difference.kind] for difference in known))
        raise in_no_dump(f"{why}.\n{compare.report(verdicts, 'reference', 'candidate')}")


def in_no_dump(why: str) -> Refused:
    """The refusal of what neither a dump nor a migration can hold."""
    return Refused(
        f"The history does what neither pg_dump nor a base migration can say: {why}",
        "take that out of the old migrations in a commit of its own, or choose an R before it",
    )


def _marks(
    found: Mapping[str, Sequence[Difference]], learnt: Callable[[Sequence[Difference]], Set[Key]]
) -> frozenset[Mark]:
    """By bind, what must be written in another form because of these differences."""
    return frozenset((bind, key) for bind, differences in found.items() for key in learnt(differences))


def _others(survey: File, attempt: Callable[[File, int], Verdicts | None], as_ddl: int) -> frozenset[Mark]:
    """All objects that fail by themselves, and not for want of another one: learnt in one run."""
    try:
        attempt(survey, as_ddl)
    except MigrationFailed as error:
        found = failed(error.text)
        return frozenset(mark for mark in found if not survey.needs.get(mark, frozenset()) & found)
    return frozenset()


def _culprit(error: MigrationFailed, file: File, revision: str) -> Mark | None:
    """The object whose lines a failed upgrade was in."""
    if error.revision != revision:
        return None
    return next((mark for first, last, mark in file.spans if first <= error.line <= last), None)


def _next_form(mark: Mark, ddl: Set[Mark]) -> Mark | None:
    """What to try next for an object whose statement failed."""
    bind, key = mark
    forms = [key] if key[0] in FALLBACKS else []
    forms += [items.last(key)] if key[0] in RUNNING else []
    if key[0] == "ROWS":  # a check may have been read otherwise than it is printed
        key = ("TABLE", *key[1:])
        forms.append(key)
    forms += [entries.pathless(key)] if key[0] in FALLBACKS else []
    return next(((bind, form) for form in forms if (bind, form) not in ddl), None)


def _learnt(found: Sequence[Difference]) -> Set[Key]:
    """What must be written in another form because of these differences."""
    keys = {key for difference in found for key in fallbacks(difference)}
    # A table whose columns come one by one is none that its own DDL makes.
    return {key for key in keys if key[0] != "TABLE" or (children.COLUMNS, *key[1:]) not in keys}


def _other_names(found: Sequence[Difference]) -> Set[Key]:
    """Constraints of children and of triggers that are the same but for their names: "table made wanted"."""
    wanted: dict[tuple[str, str, str], list[str]] = {}
    made: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        if one.kind in ("CONSTRAINT OF A CHILD", "CONSTRAINT OF A TRIGGER"):
            table, name = (token for token in sqltext.tokens(one.name) if token.strip())
            for text, names in ((one.left, wanted), (one.right, made)):
                if text is not None:
                    names.setdefault((one.schema, table, text), []).append(name)
    return {
        (children.RENAMED, schema, f"{table} {old} {new}")
        for (schema, table, text), names in wanted.items()
        for old, new in zip(made.get((schema, table, text), ()), names, strict=False)
    }


def _bound_too_early(found: Sequence[Difference]) -> Set[Key]:
    """What took the place of something else in an expression, and must come after that."""
    return {
        items.after(key, bindings.keys(one.name))
        for one in found
        if one.kind == bindings.KIND
        for described in {*(one.right or "").splitlines()} - {*(one.left or "").splitlines()}
        for key in bindings.keys(described)
    } | {
        items.after(key, bindings.keys(one.name))
        for one in found
        if one.kind == bindings.CONVERSIONS
        for described in (one.left or "").splitlines()[1:]
        for key in bindings.keys(described)
    }


def _without_a_path(found: Sequence[Difference]) -> Set[Key]:
    """What may have been read otherwise than it is printed, for the names on the search path."""
    keys = [one.key for one in found if one.what == "changed" and one.kind in FALLBACKS]
    kinds = (bindings.KIND, bindings.CONVERSIONS)
    keys += [key for one in found if one.kind in kinds for key in bindings.keys(one.name)]
    return {*keys, *map(entries.pathless, keys)}


def fallbacks(difference: Difference) -> Set[Key]:
    """What must be written as DDL because of a difference; empty where nothing would help."""
    kind, schema, name = difference.key
    if kind == "TABLE":
        left, right = (difference.left or "").splitlines(), (difference.right or "").splitlines()
        differing = set(left) ^ set(right)
        checks = [re.match(r'\s+CONSTRAINT ("(?:[^"]|"")+"|\w+) CHECK', line) for line in differing]
        if differing and all(checks):
            names = [sqltext.unquoted(match.group(1)) or match.group(1) for match in checks if match]
            return {("CHECK", schema, f"{name} {check}") for check in names}
        return {("TABLE", schema, name)}
    if kind == "DEFAULT":
        texts = sqltext.statements(f"{difference.left or ''}\n{difference.right or ''}")
        return {("TABLE", about[0], about[1]) for text in texts if (about := sqltext.altered(text))}
    if kind == "INDEX OF A FOREIGN KEY":
        return {("TABLE", schema, name)}  # with its keys one by one, in their order
    if kind == "SEQUENCE OWNED BY":
        return {("SEQUENCE", schema, name)}
    if kind == "CONSTRAINT OF A CHILD" and (difference.right or "").replace(" not valid", "") == difference.left:
        return {(children.VALIDATED, schema, name)}
    if kind == "COLUMN OF A CHILD" and difference.left and difference.right:
        table, column = (token for token in sqltext.tokens(name) if token.strip())
        clauses = [line for line in difference.left.splitlines() if line not in difference.right.splitlines()]
        return {(children.CHANGED, schema, json.dumps([table, column, clauses]))}
    if kind == "ROWS":
        return {items.last(("REFRESH", schema, name))}  # of a materialized view: as its owner sees them
    if kind == "COLUMNS":
        return {(children.COLUMNS, schema, name)}
    return {difference.key} if kind in FALLBACKS else set()
