"""Pure: which variables probably lead an application to its database, and in which form each of them wants it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

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
PARTS = ("{host}", "{database}")  # without these two, parts lead nowhere


@dataclass(frozen=True)
class Offer:
    """Variables that stand for one address: a URL by itself, or host, port, name, user and password together."""

    templates: Templates

    def shown(self) -> str:
        return ", ".join(name if template == "{url}" else f"{name}={template}" for name, template in self.templates)


def offers(names: Iterable[str], held: Iterable[str] = ()) -> list[Offer]:
    """The offers that can be made from variables' names; ``held`` are those that are known to hold a URL.

    Parts belong together by what stands before the part in their names (``DB_HOST``, ``DB_NAME``); what does not make
    up an address by itself goes together with all else that does not.
    """
    urls: list[Offer] = []
    groups: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(names):
        template, prefix = form_of(name) if name not in set(held) else ("{url}", "")
        if template == "{url}":
            urls.append(Offer(((name, template),)))
        elif template:
            groups.setdefault(prefix, {})[name] = template
    whole, rest = [], {}
    for parts in groups.values():
        if set(PARTS) <= set(parts.values()):
            whole.append(Offer(tuple(sorted(parts.items()))))
        else:
            rest.update(parts)
    if set(PARTS) <= set(rest.values()):
        whole.append(Offer(tuple(sorted(rest.items()))))
    return [*urls, *whole]


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
