"""Text search: parsers, templates, dictionaries, configurations."""

from __future__ import annotations

from tests.random.world import World


def create_dictionary(w: World) -> str:
    template = w.one(("simple", "snowball, LANGUAGE = german", "simple, STOPWORDS = english, ACCEPT = false",
                      *(f"{one}" for one in w.named("pg_ts_template", "tmpl"))))  # fmt: skip
    return f"CREATE TEXT SEARCH DICTIONARY {w.new('td')} (TEMPLATE = {template})"


def create_configuration(w: World) -> str:
    source = w.one(("COPY = english", "COPY = simple", "PARSER = default",
                    *(f"COPY = {one}" for one in w.named("pg_ts_config", "cfg")),
                    *(f"PARSER = {one}" for one in w.named("pg_ts_parser", "prs"))))  # fmt: skip
    return f"CREATE TEXT SEARCH CONFIGURATION {w.new('tc')} ({source})"


def change_configuration(w: World) -> str:
    name = w.one(w.named("pg_ts_config", "cfg"))
    dictionaries = ["simple", "english_stem", *w.named("pg_ts_dict", "dict")]
    token = w.one(("asciiword", "word", "email", "int"))
    listed = ", ".join(w.some(dictionaries, 2))
    return w.one((f"ALTER TEXT SEARCH CONFIGURATION {name} ALTER MAPPING FOR {token} WITH {listed}",
                  f"ALTER TEXT SEARCH CONFIGURATION {name} ADD MAPPING FOR {token} WITH {listed}",
                  f"ALTER TEXT SEARCH CONFIGURATION {name} DROP MAPPING FOR {token}",
                  f"ALTER TEXT SEARCH DICTIONARY {w.one([*dictionaries[2:], 'td1'])} (STOPWORDS = english)"))  # fmt: skip


def create_template(w: World) -> str:
    if w.chance(2):
        return f"CREATE TEXT SEARCH TEMPLATE {w.new('tt')} (INIT = dsimple_init, LEXIZE = dsimple_lexize)"
    return (f"CREATE TEXT SEARCH PARSER {w.new('tp')} (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,"
            " LEXTYPES = prsd_lextype, HEADLINE = prsd_headline)")  # fmt: skip


OPERATIONS = ((2, create_dictionary), (2, create_configuration), (2, change_configuration), (1, create_template))
