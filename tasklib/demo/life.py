"""The library's life: each migration in a line."""

from __future__ import annotations

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
