"""The table of contents of a ``pg_dump --format=custom`` archive: every object with its own DDL and DROP statement.

The layout is PostgreSQL's (src/bin/pg_dump/pg_backup_archiver.c, archive versions 1.12 to 1.16, servers 10 to 18). Read
here because the text form has no reliable borders between objects, and the one library that reads the archive needs
Python 3.11 and a date library besides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasklib.errors import Failed

# What identifies an object in any dump of an equal database: kind, schema, name.
Key = tuple[str, str, str]
OLDEST, NEWEST = (1, 12), (1, 16)
USUAL = "heap"  # the table access method
COLUMN_OPTIONS = re.compile(
    r"(?m)^(?P<before>ALTER (?:FOREIGN )?TABLE ONLY .+ ALTER COLUMN .+ SET \()(?P<options>pg_.*)\);\n"
)


@dataclass(frozen=True)
class Entry:
    """One object of a dump. ``kind`` is pg_dump's word (TABLE, INDEX, FK CONSTRAINT …), ``tag`` its name there.

    ``access_method`` is a table's, and "" where it is the usual one or the archive is too old to tell.
    """

    dump_id: int
    kind: str
    schema: str
    tag: str
    ddl: str
    drop: str
    owner: str
    depends_on: tuple[int, ...]
    access_method: str = ""

    @property
    def key(self) -> Key:
        return (self.kind, self.schema, self.tag)


def shown(key: Key) -> str:
    """In words: "TABLE schema.name"."""
    return f"{key[0]} {'.'.join(part for part in key[1:] if part)}"


def without_own_options(ddl: str) -> str:
    """A table's DDL without options of columns that are PostgreSQL's own, as in 15.20: they are other ones in each
    database, and a pg_dump that is older than the server does not know them for such.
    """

    def others(found: re.Match[str]) -> str:
        kept = [one for one in found["options"].split(", ") if not one.startswith("pg_")]
        return f"{found['before']}{', '.join(kept)});\n" if kept else ""

    return COLUMN_OPTIONS.sub(others, ddl) if "(pg_" in ddl else ddl


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.int_size = 4

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def integer(self) -> int:
        sign = self.byte()
        value = int.from_bytes(self.data[self.at : self.at + self.int_size], "little")
        self.at += self.int_size
        return -value if sign else value

    def string(self) -> str | None:
        length = self.integer()
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def skip(self, count: int) -> None:
        self.at += count


def read_entries(data: bytes) -> tuple[Entry, ...]:
    """All entries of a custom-format archive, in pg_dump's order, which is safe to create them in.

    Raises `Failed` for anything that is not such an archive, or of a version that is not known.
    """
    if data[:5] != b"PGDMP":
        raise Failed("pg_dump did not write an archive in its custom format.")
    reader = _Reader(data)
    reader.skip(5)
    version = (reader.byte(), reader.byte())
    reader.skip(1)  # revision
    if not OLDEST <= version <= NEWEST:
        raise Failed(f"pg_dump wrote an archive of version {version[0]}.{version[1]}; 1.12 to 1.16 are known.")
    reader.int_size = reader.byte()
    offset_size = reader.byte()
    reader.skip(1)  # format
    if version >= (1, 15):
        reader.skip(1)  # compression algorithm
    else:
        reader.integer()  # compression level
    for _ in range(7):
        reader.integer()  # creation time
    for _ in range(3):
        reader.string()  # database, server version, pg_dump version
    entries = []
    for _ in range(reader.integer()):
        dump_id = reader.integer()
        reader.integer()  # had a dumper
        reader.string()  # catalog's oid
        reader.string()  # object's oid
        tag = reader.string()
        kind = reader.string()
        reader.integer()  # section
        ddl = reader.string()
        drop = reader.string()
        reader.string()  # COPY statement
        schema = reader.string()
        reader.string()  # tablespace
        method = (reader.string() or "") if version >= (1, 14) else ""
        if version >= (1, 16):
            reader.integer()  # relkind
        owner = reader.string()
        reader.string()  # with oids
        dependencies = []
        while (one := reader.string()) is not None:
            dependencies.append(int(one))
        reader.skip(1 + offset_size)  # where its data lies
        entries.append(
            Entry(
                dump_id=dump_id,
                kind=kind or "",
                schema=schema or "",
                tag=tag or "",
                ddl=without_own_options(ddl or ""),
                drop=drop or "",
                owner=owner or "",
                depends_on=tuple(dependencies),
                access_method="" if method == USUAL else method,
            )
        )
    return tuple(entries)
