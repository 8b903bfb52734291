"""A Flask-Migrate project to squash for show: a lending library, 122 migrations on Git, awkward where real ones are.

`HISTORY` is the project's life, one line a migration; `WRITTEN` has the ones that somebody wrote by hand. The same
Flask-Migrate gives the same bytes and the same commit ids.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import indent

from mako.template import Template  # type: ignore[import-untyped]

from tasklib.errors import Refused
from tasklib.shell import run

KEPT = 2  # migrations after R

# verb target [specification] [# message]. A type ends in "!" where NULL is refused; after it come pk, unique, index,
# =server default, >table referred to, seq=sequence. "write KEY" is in `WRITTEN`; behind its bar: what models say of it.
HISTORY = """
table branches name str80! unique, address str200, opened_on date
table members email str120! unique, full_name str120!, joined_on date!
table books title str200!, isbn str13, published int
index books.isbn unique # look books up by isbn
table authors name str120! index, born int
table book_authors book_id int! pk >books, author_id int! pk >authors
table copies book_id int! index >books, branch_id int! index >branches, shelf str20
table loans copy_id int! index >copies, member_id int! >members, lent_at stamp! =now(), due_on date!, returned_at stamp
index loans.member_id
add branches.phone str20
add members.phone str20
index copies.shelf # find what stands on a shelf
add books.language str2
table publishers name str120! unique, city str80
add books.publisher_id int >publishers
index books.publisher_id
add copies.barcode str20
index copies.barcode unique
alter copies.barcode str20! index unique # every copy has a barcode now
add branches.fax str20
add members.address str200
table tags label str40! unique
table book_tags book_id int! pk >books, tag_id int! pk >tags
alter books.title str300! # make room for long titles
write loan_status | add loans.status loan_status! ='open'
index loans.status
table fines loan_id int! index >loans, amount num!, paid bool! =false
write fine_check
add authors.died int
add members.birth_date date
index loans.due_on
table membership_plans code str20! unique, title str80!, max_loans int!, yearly_fee num!
write seed_plans
add members.plan_id int index >membership_plans
write card_numbers | add members.card_number big! seq=card_number_seq
add fines.paid_at stamp
table newsletters subject str120!, body text, sent_at stamp
add newsletters.branch_id int >branches # newsletters of one branch
write plan_log
write student_limit
write email_index
table categories name str80! unique
add categories.parent_id int >categories # categories within categories
add books.category_id int index >categories
drop book_tags # categories replace tags
drop tags
table holds book_id int! index >books, member_id int! index >members, placed_at stamp! =now()
add holds.branch_id int >branches # choose where to collect a hold
add holds.expires_on date
label loan_status.overdue returned
write overdue_view
drop newsletters # newsletters moved to a mailing service
table settings key str40! pk, value json!
write seed_settings
add books.pages int
add books.edition str40
rename copies.shelf shelfmark
add copies.condition str20
add copies.acquired_on date
add branches.email str120
add authors.country str2
add publishers.country str2
drop branches.fax
write one_open_loan
table fine_rules plan_id int! index >membership_plans, medium str20!, daily_rate num!
write seed_fine_rules
add books.medium str20! ='book'
index books.medium
add fines.rule_id int >fine_rules
table kiosks branch_id int! >branches, serial_number str40! unique
add kiosks.last_seen stamp
rename members patrons # say patron, as the staff does
rename loans.member_id patron_id
rename holds.member_id patron_id
add patrons.locale str5 after phone
write default_locale
add loans.renewals int! =0
alter books.edition str80
table events branch_id int! index >branches, title str120!, kind event_kind!, starts_at stamp!
add events.seats int
add events.description text
index events.starts_at
add events.room str40
add events.language str2
label event_kind.workshop lecture
add books.subtitle str200 after title
add branches.has_lift bool
add branches.has_parking bool
drop kiosks # the self-service kiosks are gone
add patrons.blocked_until date
index patrons.blocked_until
add patrons.note str200
alter patrons.note text # notes about a patron can be long
table suppliers name str120! unique, email str120
table purchases supplier_id int! index >suppliers, book_id int! index >books, quantity int!, ordered_on date!
add purchases.unit_price num
add purchases.received_on date
index purchases.ordered_on
alter purchases.unit_price num! # prices are known when we order
add copies.purchase_id int index >purchases
add copies.withdrawn_on date
add authors.sort_name str120 after name # sort authors by their last name
index authors.sort_name
drop branches.has_lift # branches tell about lifts on their own pages
drop branches.has_parking
add membership_plans.retired bool! =false
add holds.notified_at stamp
add holds.cancelled_at stamp
index holds.expires_on
add events.cancelled bool! =false
add books.cover_url str300
alter branches.phone str40 # two phone numbers in one
alter fines.amount num12! # fines in every currency we take
add loans.lent_by str80
add suppliers.phone str20
add branches.closed_on date
add loans.note text
add publishers.website str200
add settings.changed_at stamp
index patrons.full_name
add loans.reminder_sent_at stamp
write family_accounts | alter patrons.email str120!
""".strip().splitlines()

ENUMS = {"loan_status": ["open", "returned", "lost"], "event_kind": ["reading", "lecture", "exhibition"]}

# == key: message, the upgrade, --, the downgrade
WRITTEN = r'''
== loan_status: loans have a status
op.execute("CREATE TYPE loan_status AS ENUM ('open', 'returned', 'lost')")
op.execute("ALTER TABLE loans ADD COLUMN status loan_status DEFAULT 'open' NOT NULL")
op.execute("UPDATE loans SET status = 'returned' WHERE returned_at IS NOT NULL")
--
op.drop_column('loans', 'status')
op.execute("DROP TYPE loan_status")
== fine_check: no fines below zero
op.create_check_constraint('ck_fines_amount', 'fines', 'amount > 0')
--
op.drop_constraint('ck_fines_amount', 'fines', type_='check')
== seed_plans: the four membership plans
columns = [sa.column(name) for name in ('id', 'code', 'title', 'max_loans', 'yearly_fee')]
plans = sa.table('membership_plans', *columns)
op.bulk_insert(plans, [
    {'id': 1, 'code': 'adult', 'title': 'Adult', 'max_loans': 10, 'yearly_fee': 24},
    {'id': 2, 'code': 'student', 'title': 'Student', 'max_loans': 5, 'yearly_fee': 12},
    {'id': 3, 'code': 'family', 'title': 'Family', 'max_loans': 15, 'yearly_fee': 36},
    {'id': 4, 'code': 'child', 'title': "Children's card", 'max_loans': 10, 'yearly_fee': 0},
])
op.execute("SELECT setval('membership_plans_id_seq', 4)")
--
op.execute('DELETE FROM membership_plans')
== card_numbers: number the library cards
op.execute('CREATE SEQUENCE card_number_seq START WITH 100001')
op.add_column('members', sa.Column('card_number', sa.BigInteger(),
              server_default=sa.text("nextval('card_number_seq')"), nullable=False))
--
op.drop_column('members', 'card_number')
op.execute('DROP SEQUENCE card_number_seq')
== plan_log: log what changes in membership plans
op.create_table('plan_log',
sa.Column('id', sa.Integer(), nullable=False),
sa.Column('plan_id', sa.Integer(), nullable=False),
sa.Column('was', postgresql.JSONB(), nullable=False),
sa.Column('became', postgresql.JSONB(), nullable=False),
sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
sa.PrimaryKeyConstraint('id')
)
op.execute("""
    CREATE FUNCTION log_plan_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO plan_log (plan_id, was, became) VALUES (NEW.id, to_jsonb(OLD), to_jsonb(NEW));
        RETURN NEW;
    END
    $$
""")
op.execute("""
    CREATE TRIGGER membership_plans_log AFTER UPDATE ON membership_plans
    FOR EACH ROW EXECUTE PROCEDURE log_plan_change()
""")
--
op.execute('DROP TRIGGER membership_plans_log ON membership_plans')
op.execute('DROP FUNCTION log_plan_change()')
op.drop_table('plan_log')
== student_limit: students may take eight books
op.execute("UPDATE membership_plans SET max_loans = 8 WHERE code = 'student'")
--
op.execute("UPDATE membership_plans SET max_loans = 5 WHERE code = 'student'")
== email_index: one account for an address in any case
op.create_index('uq_members_email_lower', 'members', [sa.text('lower(email)')], unique=True)
--
op.drop_index('uq_members_email_lower', table_name='members')
== overdue_view: a view of overdue loans for the front desk
op.execute("""
    CREATE VIEW overdue_loans AS
    SELECT l.id, l.member_id, m.full_name, b.title, c.shelf, CURRENT_DATE - l.due_on AS days_late
    FROM loans l
    JOIN members m ON m.id = l.member_id
    JOIN copies c ON c.id = l.copy_id
    JOIN books b ON b.id = c.book_id
    WHERE l.returned_at IS NULL AND l.due_on < CURRENT_DATE
""")
--
op.execute('DROP VIEW overdue_loans')
== seed_settings: settings that every branch starts with
settings = sa.table('settings', sa.column('key', sa.String), sa.column('value', postgresql.JSONB))
op.bulk_insert(settings, [
    {'key': 'opening_hours', 'value': {'weekdays': ['09:00', '18:30'], 'saturday': ['10:00', '14:00']}},
    {'key': 'welcome', 'value': {'en': "You're welcome", 'de': 'Schön, dass Sie da sind', 'fr': None}},
    {'key': 'loan_days', 'value': 28},
])
--
op.execute('DELETE FROM settings')
== one_open_loan: a copy is lent once at a time
op.create_index('uq_loans_open_copy', 'loans', ['copy_id'], unique=True,
                postgresql_where=sa.text('returned_at IS NULL'))
--
op.drop_index('uq_loans_open_copy', table_name='loans')
== seed_fine_rules: a fine rule for each membership plan
op.execute("""
    INSERT INTO fine_rules (plan_id, medium, daily_rate)
    SELECT id, 'book', CASE WHEN yearly_fee = 0 THEN 0.05 ELSE 0.20 END FROM membership_plans ORDER BY id
""")
--
op.execute('DELETE FROM fine_rules')
== default_locale: patrons speak English by default
op.alter_column('patrons', 'locale', existing_type=sa.VARCHAR(length=5), server_default='en')
--
op.alter_column('patrons', 'locale', existing_type=sa.VARCHAR(length=5), server_default=None)
== family_accounts: families share an address and borrow films
op.drop_constraint('members_email_key', 'patrons', type_='unique')
op.drop_index('uq_members_email_lower', table_name='patrons')
op.create_index('ix_patrons_email_lower', 'patrons', [sa.text('lower(email)')])
op.execute("UPDATE membership_plans SET max_loans = 20 WHERE code = 'family'")
op.execute("INSERT INTO fine_rules (plan_id, medium, daily_rate) VALUES (3, 'film', 0.50)")
--
op.execute("DELETE FROM fine_rules WHERE medium = 'film'")
op.execute("UPDATE membership_plans SET max_loans = 15 WHERE code = 'family'")
op.drop_index('ix_patrons_email_lower', table_name='patrons')
op.create_index('uq_members_email_lower', 'patrons', [sa.text('lower(email)')], unique=True)
op.create_unique_constraint('members_email_key', 'patrons', ['email'])
'''

APP = '''\
"""A lending library. The database is the one that DATABASE_URL names."""

import os

from flask import Flask, jsonify
from flask_migrate import Migrate

import models


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
    models.db.init_app(app)
    Migrate(app, models.db)

    @app.route("/health")
    def health():
        models.db.session.execute(models.db.text("SELECT 1"))
        return "ok"
{overdue}
    return app
'''
OVERDUE = """
    @app.route("/overdue")
    def overdue():
        query = "SELECT id, title, days_late FROM overdue_loans ORDER BY days_late DESC, id"
        rows = models.db.session.execute(models.db.text(query))
        return jsonify([{"loan": row[0], "title": row[1], "days_late": row[2]} for row in rows])
"""
MODELS = """\
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import postgresql

db = SQLAlchemy()
"""
README = """\
# Lending library

A small Flask application on PostgreSQL, made up by `alembic-squash demo`: nobody lends books with it. Its migrations
are like those of a project that has been deployed for years: most are what `flask db migrate` writes, some are by hand.

    export DATABASE_URL=postgresql+psycopg2://user@localhost/library
    flask db upgrade
    flask run
"""
BY_HAND = ("rename", "label")  # autogenerate does not see these
AUTO = "# ### commands auto generated by Alembic - please adjust! ###\n{}\n# ### end Alembic commands ###"


@dataclass(frozen=True)
class Demo:
    """The project on disk: R, the head two migrations later, and ``count`` migrations in all."""

    root: Path
    revision: str
    head: str
    uri_var: str = "DATABASE_URL"
    count: int = len(HISTORY)


@dataclass(frozen=True)
class Column:
    """A column as `HISTORY` writes it; without more it is an integer key."""

    name: str
    kind: str = "int"
    null: bool = False
    flags: frozenset[str] = frozenset()
    default: str = ""
    target: str = ""
    sequence: str = ""

    @classmethod
    def parse(cls, text: str) -> Column:
        name, kind, *rest = text.split()
        first = {word[0]: word[1:] for word in rest if word[0] in "=>"}
        sequence = next((word[4:] for word in rest if word.startswith("seq=")), "")
        flags = frozenset({"pk", "unique", "index"} & set(rest))
        return cls(name, kind.rstrip("!"), kind[-1] != "!", flags, first.get("=", ""), first.get(">", ""), sequence)


Written = tuple[str, str, str]  # message, upgrade, downgrade


class Library:
    """The project while it grows: what its models say after each line of `HISTORY`."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Column]] = {}
        self.enums = {name: list(labels) for name, labels in ENUMS.items()}

    def take(self, line: str) -> Written:
        """Live through one line of `HISTORY`; the migration that goes with it."""
        words, _, said = line.partition(" # ")
        verb, target, *rest = words.split(maxsplit=2)
        if verb == "write":
            if rest:
                self.take(rest[0].removeprefix("| "))
            return _written(target)
        table, _, column = target.partition(".")
        message, up, down = getattr(self, f"_{verb}")(table, column, *rest)
        if verb not in BY_HAND:
            up, down = AUTO.format(up), AUTO.format(down)
        return said or message, up, down

    def _table(self, table: str, _: str, spec: str) -> Written:
        columns = [Column.parse(part) for part in spec.split(",")]
        if not any("pk" in column.flags for column in columns):
            columns.insert(0, Column("id", flags=frozenset({"pk"})))
        self.tables[table] = columns
        return f"create {table}", *self._create_and_drop(table)

    def _create_and_drop(self, table: str) -> tuple[str, str]:
        columns = self.tables[table]
        lines = [self._migrated(column) for column in columns]
        lines += [f"sa.ForeignKeyConstraint([{c.name!r}], ['{c.target}.id'], )" for c in columns if c.target]
        lines.append(f"sa.PrimaryKeyConstraint({', '.join(repr(c.name) for c in columns if 'pk' in c.flags)})")
        lines += [f"sa.UniqueConstraint({c.name!r})" for c in columns if c.flags & {"unique", "index"} == {"unique"}]
        indexes = [_index(table, c.name, unique="unique" in c.flags) for c in columns if "index" in c.flags]
        create = [f"op.create_table({table!r},\n" + ",\n".join(lines) + "\n)", *(up for up, _ in indexes)]
        drop = [*(down for _, down in reversed(indexes)), f"op.drop_table({table!r})"]
        return "\n".join(create), "\n".join(drop)

    def _add(self, table: str, name: str, spec: str) -> Written:
        spec, _, before = spec.partition(" after ")
        column = Column.parse(f"{name} {spec}")
        names = [each.name for each in self.tables[table]]
        self.tables[table].insert(names.index(before) + 1 if before else len(names), column)
        ups, downs = [f"op.add_column({table!r}, {self._migrated(column)})"], [f"op.drop_column({table!r}, {name!r})"]
        if "index" in column.flags:
            create, drop = _index(table, name, unique="unique" in column.flags)
            ups, downs = [*ups, create], [drop, *downs]
        if column.target:
            key = f"{table}_{name}_fkey"
            ups.append(f"op.create_foreign_key({key!r}, {table!r}, {column.target!r}, [{name!r}], ['id'])")
            downs.insert(0, f"op.drop_constraint({key!r}, {table!r}, type_='foreignkey')")
        return f"add {name} to {table}", "\n".join(ups), "\n".join(downs)

    def _drop(self, table: str, name: str) -> Written:
        if not name:
            create, drop = self._create_and_drop(table)
            del self.tables[table]
            return f"drop {table}", drop, create
        column = self._column(table, name)
        self.tables[table].remove(column)
        was = self._migrated(column, reflected=True)
        return f"drop {name} from {table}", f"op.drop_column({table!r}, {name!r})", f"op.add_column({table!r}, {was})"

    def _alter(self, table: str, name: str, spec: str) -> Written:
        old, new = self._column(table, name), Column.parse(f"{name} {spec}")
        self._replace(table, old, new)
        return f"change {name} of {table}", self._altered(table, old, new), self._altered(table, new, old)

    def _altered(self, table: str, old: Column, new: Column) -> str:
        parts = [f"existing_type={_reflected(self._type(old))}"]
        if old.kind != new.kind:
            parts += [f"type_={self._type(new)}", f"existing_nullable={old.null}"]
        else:
            parts.append(f"nullable={new.null}")
        return f"op.alter_column({table!r}, {old.name!r},\n           " + ",\n           ".join(parts) + ")"

    def _index(self, table: str, name: str, unique: str = "") -> Written:
        column = self._column(table, name)
        flags = {"index", unique} - {""}
        self._replace(table, column, replace(column, flags=column.flags | flags))
        return f"index {name} of {table}", *_index(table, name, unique=bool(unique))

    def _rename(self, table: str, name: str, new: str) -> Written:
        message = f"rename {name or table} to {new}"
        if name:
            column = self._column(table, name)
            self._replace(table, column, replace(column, name=new))
            alter = "op.alter_column({!r}, {!r}, new_column_name={!r})"
            return message, alter.format(table, name, new), alter.format(table, new, name)
        self.tables = {new if each == table else each: columns for each, columns in self.tables.items()}
        for columns in self.tables.values():
            columns[:] = [replace(each, target=new) if each.target == table else each for each in columns]
        return message, f"op.rename_table({table!r}, {new!r})", f"op.rename_table({new!r}, {table!r})"

    def _label(self, enum: str, label: str, before: str) -> Written:
        self.enums[enum].append(label)  # the models have it last, the database does not
        alter = f"ALTER TYPE {enum} ADD VALUE '{label}' BEFORE '{before}'"
        up = f'with op.get_context().autocommit_block():\n    op.execute("{alter}")'
        return f"{enum.replace('_', ' ')} can be {label}", up, "pass  # PostgreSQL cannot take a label away"

    def _column(self, table: str, name: str) -> Column:
        return next(column for column in self.tables[table] if column.name == name)

    def _replace(self, table: str, old: Column, new: Column) -> None:
        self.tables[table] = [new if column == old else column for column in self.tables[table]]

    def _type(self, column: Column, module: str = "sa") -> str:
        if column.kind in self.enums:
            return f"{module}.Enum({', '.join(map(repr, self.enums[column.kind]))}, name={column.kind!r})"
        if column.kind == "json":
            return "postgresql.JSONB(astext_type=sa.Text())" if module == "sa" else "postgresql.JSONB()"
        word = column.kind.rstrip("0123456789")
        size = column.kind.removeprefix(word)
        types = {"int": "Integer()", "big": "BigInteger()", "text": "Text()", "bool": "Boolean()", "date": "Date()"}
        types |= {"stamp": "DateTime(timezone=True)", "num": f"Numeric(precision={size or 10}, scale=2)"}
        return f"{module}.{types.get(word, f'String(length={size})')}"

    def _migrated(self, column: Column, *, reflected: bool = False) -> str:
        kind = _reflected(self._type(column)) if reflected else self._type(column)
        default = f', server_default=sa.text("{column.default}")' if column.default else ""
        return f"sa.Column({column.name!r}, {kind}{default}, nullable={column.null})"

    def models(self) -> str:
        """The models module as it stands."""
        return "\n\n".join([MODELS, *(self._model(table) for table in self.tables)])

    def _model(self, table: str) -> str:
        lines = [f"class {_class(table)}(db.Model):", f'    __tablename__ = "{table}"', ""]
        for column in self.tables[table]:
            words = [re.sub(r"length=|\(\)", "", self._type(column, "db")).replace("'", '"')]
            words += [f'db.ForeignKey("{column.target}.id")'] if column.target else []
            words += [f'db.Sequence("{column.sequence}")'] if column.sequence else []
            words += [f'server_default=db.text("{column.default}")'] if column.default else []
            words += [f"{word}=True" for word in ("index", "unique") if word in column.flags]
            words += ["primary_key=True"] if "pk" in column.flags else [] if column.null else ["nullable=False"]
            lines.append(f"    {column.name} = db.Column({', '.join(words)})")
        keys = [column for column in self.tables[table] if column.target not in ("", table)]
        lines += [""] * bool(keys)
        lines += [f'    {key.name.removesuffix("_id")} = db.relationship("{_class(key.target)}")' for key in keys]
        return "\n".join([*lines, ""])


def _written(key: str) -> Written:
    text = WRITTEN.partition(f"== {key}: ")[2].partition("== ")[0]
    message, _, body = text.partition("\n")
    up, _, down = body.partition("\n--\n")
    return message, up, down.strip()


def _index(table: str, column: str, *, unique: bool) -> tuple[str, str]:
    name = f"op.f('ix_{table}_{column}')"
    create = f"op.create_index({name}, {table!r}, [{column!r}], unique={unique})"
    return create, f"op.drop_index({name}, table_name={table!r})"


def _reflected(kind: str) -> str:
    """A type as autogenerate reads it from the database: ``sa.VARCHAR(length=80)`` for ``sa.String(length=80)``."""
    names = {"String": "VARCHAR", "BigInteger": "BIGINT"}
    return re.sub(r"(?<=^sa\.)\w+", lambda word: names.get(word[0], word[0].upper()), kind)


def _class(table: str) -> str:
    """``BookAuthor`` for ``book_authors``."""
    ends = {"branches": "branch", "copies": "copy", "categories": "category"}
    return "".join(word.title() for word in ends.get(table, table.removesuffix("s")).split("_"))


def _dates() -> Iterator[datetime]:
    """Working days and hours, days to weeks apart, always the same."""
    day = datetime(2019, 3, 4, tzinfo=timezone.utc)
    for number in range(len(HISTORY)):
        dice = hashlib.sha256(str(number).encode()).digest()
        day += timedelta(days=4 + dice[0] % 25)
        day += timedelta(days=2 if day.weekday() >= 5 else 0)
        yield day + timedelta(
            hours=9 + dice[1] % 8, minutes=dice[2] % 60, seconds=dice[3] % 60, microseconds=dice[4] * 3907
        )


def _commit(message: str, when: datetime, files: dict[str, str]) -> bytes:
    """One commit on main as `git fast-import` reads it."""
    who = f"Demo <demo@example.com> {int(when.timestamp())} +0000"

    def data(text: str) -> bytes:
        return b"data %d\n%s\n" % (len(text.encode()), text.encode())

    out = f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n".encode() + data(message)
    return out + b"".join(f"M 100644 inline {path}\n".encode() + data(text) for path, text in files.items())


def _migrations(template: Path) -> Iterator[tuple[str, str, datetime, dict[str, str]]]:
    """Each migration's id, message, date, and the files that its commit writes; ``template`` is script.py.mako."""
    library, parent, mako = Library(), None, Template(filename=str(template))
    for number, (line, date) in enumerate(zip(HISTORY, _dates(), strict=True), 1):
        message, up, down = library.take(line)
        revision = hashlib.sha256(f"{number} {message}".encode()).hexdigest()[:12]
        slug = re.sub(r"\W+", "_", message).lower()
        if len(slug) > 40:  # as Alembic cuts it
            slug = slug[:40].rsplit("_", 1)[0] + "_"
        text = mako.render_unicode(
            message=message,
            up_revision=revision,
            down_revision=parent,
            create_date=date.replace(tzinfo=None),
            branch_labels=None,
            depends_on=None,
            comma=lambda revision: revision or "",
            imports="from sqlalchemy.dialects import postgresql" if "postgresql.JSONB" in up + down else "",
            upgrades=indent(up, "    ").lstrip(),
            downgrades=indent(down, "    ").lstrip(),
        )
        files = {f"migrations/versions/{revision}_{slug}.py": text, "models.py": library.models()}
        if line == "write overdue_view":
            files["app.py"] = APP.replace("{overdue}", OVERDUE)
        yield revision, message, date, files
        parent = revision


def build(directory: Path) -> Demo:
    """Write the project into ``directory``, which must be new or empty; nothing outside it changes.

    Raises `Refused` where something is in the way or Flask-Migrate is not there to write ``migrations/``.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused(f"{directory} is in the way: the demo is written into a new or empty directory.")
    missing = [name for name in ("flask_migrate", "flask_sqlalchemy") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f"The demo needs {' and '.join(missing)}.", "pip install 'alembic-squash[demo]'")
    root = directory.resolve()
    root.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "GIT_"))}
    # `init` makes an engine from the URL and does not connect.
    env |= {"DATABASE_URL": "postgresql+psycopg2:///nowhere", "PYTHONDONTWRITEBYTECODE": "1"}
    texts = {
        "app.py": APP.replace("{overdue}\n", ""),
        "models.py": MODELS,
        "README.md": README,
        ".gitignore": "__pycache__/\n.env\n",
    }
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    run([sys.executable, "-m", "flask", "db", "init"], cwd=root, env=env)

    made = sorted(path for path in root.rglob("*") if path.is_file())
    first = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in made}
    history = list(_migrations(root / "migrations/script.py.mako"))
    commits = [_commit("Begin the library", history[0][2] - timedelta(days=1), first)]
    commits += [_commit(message, date + timedelta(minutes=9), files) for _, message, date, files in history]

    def git(*words: str, stdin: bytes | None = None) -> None:
        run(["git", *words], cwd=root, env=env, stdin=stdin)

    git("init", "--quiet", "--template=")
    git("symbolic-ref", "HEAD", "refs/heads/main")
    settings = {"user.name": "Demo", "user.email": "demo@example.com", "commit.gpgSign": "false"}
    settings |= {"core.hooksPath": os.devnull, "core.autocrlf": "false"}
    for name, value in settings.items():
        git("config", name, value)
    git("fast-import", "--quiet", stdin=b"".join(commits))
    git("reset", "--quiet", "--hard")
    return Demo(root, revision=history[-1 - KEPT][0], head=history[-1][0])
