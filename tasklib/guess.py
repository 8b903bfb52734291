"""Finds out how the database's address gets into the application where nobody said so: by what it tries to connect to.

Every likely variable is given an address with a database name of its own, and the guard lets nothing through: which
name the application asks for says which variable counts. Then that one alone is proven, as if it had been named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasklib import binds, console, probe, variables
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.conduct import Misconduct
from tasklib.errors import Failed, Refused
from tasklib.migrations import Ran
from tasklib.variables import Offer, Templates


def find(bench: Bench, chain: Chain, role: str) -> None:
    """Keep in the plan the templates and the scheme with which the command reaches the scratch database of ``role``.

    Raises `Refused` where that cannot be proven without a risk; nothing was connected to then but our database.
    """
    known = bench.addresses()
    known.refuse_unnamed()
    if not bench.is_watched(bench.command()):
        raise known.unnamed("Nothing is tried unasked: this program cannot watch where the project's Python connects.")
    found, scheme = _asked_for(bench, chain, known.offers())
    first: Refused | Failed | None = None
    for chosen in dict.fromkeys((_joined(found), _joined(known.offers()))):
        bench.save(replace(bench.plan, found=chosen))
        try:
            probe.find_scheme(bench, chain, role, [scheme])
        except (Refused, Failed) as error:
            first = first or error
            if isinstance(error, Misconduct):
                break
        else:
            console.note(f"    found: the application takes {_shown(found)}. To say so: {variables.options(chosen)}")
            return
    bench.save(replace(bench.plan, found=()))
    assert first is not None
    if isinstance(first, Misconduct):
        raise first
    raise known.unnamed(f"It asked for {_shown(found)}, and did not pass the proof: {first.text}")


def _asked_for(bench: Bench, chain: Chain, offers: Sequence[Offer]) -> tuple[list[Offer], str]:
    """The offers whose database the application asks for, and the scheme of the URL with which it does."""
    known = bench.addresses()
    own = [known.schemes([name for name, _ in offer.templates]) for offer in offers]
    said = ""
    for turn in range(max(map(len, own))):
        schemes = [one[min(turn, len(one) - 1)] for one in own]
        ran = _tried(bench, chain, offers, schemes)
        asked = {contact.database for contact in ran.seen.contacts}
        hits = [number for number in range(len(offers)) if _name(bench, number) in asked]
        if hits:
            return [offers[number] for number in hits], schemes[hits[0]]
        if ran.code and probe.IMPORT_FAILED.search(ran.stderr) and not probe.NO_DRIVER.search(ran.stderr):
            raise bench.command().cannot_run(ran, ran.stderr)
        went = " and ".join(contact.shown() for contact in ran.seen.refused)
        last = (ran.stderr.strip() or ran.stdout.strip() or "nothing").splitlines()[-1]
        said = f"it went to {went}, and was not let through" if went else f"it made no connection, and said: {last}"
        if went or not probe.NO_DRIVER.search(ran.stderr):
            if not went:
                bench.command().refuse_if_it_cannot_run(ran)
            break
    offered = " or ".join(offer.shown() for offer in offers)
    note, hint = known.overridden([name for offer in offers for name, _ in offer.templates])
    text = f"With {offered} leading to a scratch database, {said}. Nothing was written anywhere."
    raise known.unnamed(f"{text}\n{note}" if note else text, hint)


def _tried(bench: Bench, chain: Chain, offers: Sequence[Offer], schemes: Sequence[str]) -> Ran:
    """Run `current` with every offer made, and no connection let through. No password is in it."""
    command, place = bench.command(), bench.address()
    nowhere = replace(place, password="none", database=_name(bench, len(offers)))
    filled: list[tuple[str, str]] = []
    for number, (offer, scheme) in enumerate(zip(offers, schemes, strict=True)):
        address = replace(nowhere, database=_name(bench, number))
        filled += [(name, binds.fill(template, address.values(scheme))) for name, template in offer.templates]
    assert command.watch is not None
    closed = replace(command, templates=tuple(filled), watch=replace(command.watch, closed=True))
    return closed.current(chain, {"": nowhere})


def _name(bench: Bench, number: int) -> str:
    return f"alembic_squash_{bench.place().token}_offer{number}"


def _joined(offers: Sequence[Offer]) -> Templates:
    return tuple(sorted({name: template for offer in offers for name, template in offer.templates}.items()))


def _shown(offers: Sequence[Offer]) -> str:
    return " and ".join(offer.shown() for offer in offers)
