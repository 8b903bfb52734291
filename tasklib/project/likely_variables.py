"""Pure: which variables probably lead an application to its database, and in which form each of them wants it."""

from __future__ import annotations

import re

Templates = tuple[tuple[str, str], ...]

# The end of a name, in the order in which they are tried: DB_HOST is a host and DB_HOST_PORT a port.
FORMS = (
    ("{url}", r"UR[IL]|DSN|CONNECTION_STRING"),
    ("{port}", r"PORT"),
    ("{password}", r"PASSWORD|PASSWD|PASS|PWD"),
    ("{user}", r"USERNAME|USER|ROLE|LOGIN"),
    ("{host}", r"HOSTNAME|HOST|SERVER|ADDRESS|ADDR"),
    ("{database}", r"DBNAME|DATABASE|DB_NAME|NAME|DB"),
)


def form_of(name: str) -> tuple[str, str]:
    """(template, what stands before the part) for a variable's name; ("", "") where it is none of an address."""
    for template, ends in FORMS:
        if match := re.fullmatch(rf"(?:(?P<before>.*)_)?(?:{ends})|PG(?:{ends})", name, re.IGNORECASE):
            before = match.group("before")
            return template, "PG" if before is None and name.upper().startswith("PG") else (before or "").upper()
    return "", ""


def options(templates: Templates) -> str:
    """The options that name these templates on the command line."""
    if len(templates) == 1 and templates[0][1] == "{url}" and "." not in templates[0][0]:
        return f"--uri-var {templates[0][0]}"
    return " ".join(f"--set {name}={template}" for name, template in templates)
