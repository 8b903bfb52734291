"""The record of a proof: what was shown, for people and for the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasklib.judge import catalog


@dataclass(frozen=True)
class Proof:
    """What was shown for one git tree. ``later`` are volatile columns that only the kept migrations make; ``classes``
    the objects by class, at head; ``reprinted`` what is the same only after a restore.
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

    def lines(self) -> list[str]:
        """The proof for people: in the report and in the commit's message."""
        found = [f"Proven on PostgreSQL {self.major}, git tree {self.tree}:", *(f"- {check}" for check in self.checks)]
        found += [f"Compared at head: {classes}" for classes in self.classes]
        if self.reprinted:
            found.append(
                f"{len(self.reprinted)} objects print differently, and the same once restored from a dump: "
                + ", ".join(self.reprinted)
            )
        else:
            found.append("Every object also prints the same, to the letter.")
        found += [*self.truth, *self.groundwork]
        if self.needed_roles:
            names = ", ".join(self.needed_roles)
            found.append(f"Roles that must be on every server, since the migrations name and do not make them: {names}")
        if self.volatile:
            found.append("Was different in each database, is now always the same value: " + ", ".join(self.volatile))
        if self.later:
            found.append("Is different in each database, as before, by migrations that stay: " + ", ".join(self.later))
        if self.left_out:
            found.append("Rows left out, as --data says: " + ", ".join(self.left_out))
        return [*found, "Not compared: " + "; ".join(catalog.BLIND_SPOTS) + "."]


def from_json(data: Mapping[str, Any]) -> Proof:
    """The proof that the plan keeps."""
    kept: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in data.items()}
    return Proof(**kept)
