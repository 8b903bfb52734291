"""The migrations that somebody wrote by hand."""

from __future__ import annotations

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
