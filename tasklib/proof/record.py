"""The record of a proof: what was shown, for people and for the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasklib.judge import catalog

# What the lists of a proof are called, wherever they are shown.
ROLES = "Roles that must be on every server, since the migrations name and do not make them"
VOLATILE = "Was different in each database, is now always the same value"
LATER = "Is different in each database, as before, by migrations that stay"
LEFT_OUT = "Rows left out, as --data says"


@dataclass(frozen=True)
class Proof:
    """What was shown for one git tree. ``later`` are volatile columns that only the kept migrations make, and
    ``identifying`` those of tables with one row, which hold no time; ``classes`` the objects by class, at head;
    ``reprinted`` what is the same only after a restore; ``seconds`` what the old and the new chain took from nothing to
    R, without the start of the application where it was started once.
    """

    tree: str
    tip: str
    major: int
    checks: tuple[str, ...]
    volatile: tuple[str, ...]
    left_out: tuple[str, ...]
    truth: tuple[str, ...] = ()
    needed_roles: tuple[str, ...] = ()
    groundwork: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    reprinted: tuple[str, ...] = ()
    seconds: tuple[float, ...] = ()
    identifying: tuple[str, ...] = ()

    def speed(self) -> str:
        """How long a new database takes to R now, and took before; "" where that is not known."""
        if not self.seconds:
            return ""
        old, new = self.seconds
        return (
            f"A new database: {new:.2f} s to the base, where the old migrations took {old:.2f} s (both in the proof)."
        )

    def lines(self, shown: int = 1000) -> list[str]:
        """The proof for people, at the end and in the commit's message; of a long list so many are ``shown``."""
        found = [f"Proven on PostgreSQL {self.major}, git tree {self.tree}:", *(f"- {check}" for check in self.checks)]
        found += [f"Compared at head: {classes}" for classes in self.classes]
        if self.reprinted:
            found.append(
                f"{len(self.reprinted)} objects print differently, and the same once restored from a dump: "
                + folded(self.reprinted, shown)
            )
        else:
            found.append("Every object also prints the same, to the letter.")
        found += [*self.truth, *self.groundwork]
        if self.needed_roles:
            found.append(f"{ROLES}: {folded(self.needed_roles, shown)}")
        if self.volatile:
            found.append(f"{VOLATILE}: {folded(self.volatile, shown)}")
            found.append("(Each new database gets the value of this replay. Where it should get another one, edit the "
                         "base migration, which is proven again, or leave the rows out: --data.)")  # fmt: skip
        if self.identifying:
            found.append(
                f"Of these, in a table of one row, and no time: {folded(self.identifying, shown)}. Where such a value "
                "identifies an installation, leave the table out (--data), and have each make its own."
            )
        if self.later:
            found.append(f"{LATER}: {folded(self.later, shown)}")
        if self.left_out:
            found.append(f"{LEFT_OUT}: {folded(self.left_out, shown)}")
        return [*found, "Not compared: " + "; ".join(catalog.BLIND_SPOTS) + "."]


def folded(names: Sequence[str], shown: int) -> str:
    """Names in a sentence; of a long list so many are shown."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def from_json(data: Mapping[str, Any]) -> Proof:
    """The proof that the plan keeps."""
    kept: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in data.items()}
    return Proof(**kept)
