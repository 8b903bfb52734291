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
MENTIONS = "Left for you to mend, for they name revisions that are gone"


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

    @property
    def branch(self) -> str:
        """Where the commit is."""
        return self.plan.original if self.is_brought_in else self.plan.branch

    def say(self, *, proof_was_shown: bool = False) -> None:
        """Everything, what it came to last; a proof that was shown before in a line."""
        made, proof = self.plan, self.proof
        lines = proof.lines(SHOWN)
        console.say(lines[0].rstrip(":") + ", as shown before." if proof_was_shown else "\n".join(lines))
        if self.beside:
            console.note(f"not of the squash, so it stays in the work tree: {', '.join(self.beside[:SHOWN])}")
        for title, listed in ((MENTIONS, self.mentions), (in_flight.TITLE, self.flying)):
            if listed:
                console.say()
                console.listing(title, listed)
        console.say("\n".join(["", *self.condition, ""]))
        console.say("\n".join(squash_branch.summary(made, proof)[1:]))
        where = self.branch if self.is_brought_in else f"{self.branch}, which you are on: push it for review"
        base = f"{len(made.gone)} migrations are one base migration, {made.base_path}"
        console.say(f"{base}; commit {self.commit[:12]} on {where}. ({made.program} undo brings them back.)")
        console.result(
            "squash", commit=self.commit, branch=self.branch,
            merged=self.is_brought_in, base=made.base_path, revision=made.revision, gone=made.gone, kept=made.kept,
            proof=asdict(proof), condition=self.condition, mentions=self.mentions, in_flight=self.flying,
        )  # fmt: skip
