"""What a squash came to: for the terminal, for programs and for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tasklib import console
from tasklib.after import in_flight
from tasklib.history.cut import Migration
from tasklib.proof import squash_branch
from tasklib.proof.record import Proof
from tasklib.workbench.plan import Plan

SHOWN = 10  # of a long list, on the terminal


@dataclass(frozen=True)
class Outcome:
    """A squash that is committed. ``before`` are the migrations that there were, oldest first; ``condition`` is what
    must be true of every deployed database, ``mentions`` and ``flying`` what is left for people to mend, ``beside``
    what stays in the work tree, ``code`` the base migration.
    """

    plan: Plan
    proof: Proof
    commit: str
    is_brought_in: bool
    before: Sequence[Migration]
    condition: Sequence[str]
    mentions: Sequence[str]
    flying: Sequence[str]
    beside: Sequence[str]
    code: str

    def say(self) -> None:
        made, proof = self.plan, self.proof
        console.say("\n".join(proof.lines(SHOWN)))
        console.say()
        where = made.original if self.is_brought_in else f"{made.branch}, which you are on: push it for review"
        base = f"{len(made.gone)} migrations are one base migration, {made.base_path}"
        console.say(f"{base}; commit {self.commit[:12]} on {where}.")
        console.say("\n".join([*squash_branch.summary(made, proof)[1:], *self.condition]))
        if self.beside:
            console.note(f"not of the squash, so it stays in the work tree: {', '.join(self.beside[:SHOWN])}")
        if self.mentions:
            console.listing("Left for you to mend, for they name revisions that are gone", self.mentions)
        if self.flying:
            console.listing(in_flight.TITLE, self.flying)
        console.result(
            "squash", commit=self.commit, branch=made.original if self.is_brought_in else made.branch,
            merged=self.is_brought_in, base=made.base_path, revision=made.revision, gone=made.gone, kept=made.kept,
            proof=asdict(proof), condition=self.condition, mentions=self.mentions, in_flight=self.flying,
        )  # fmt: skip
