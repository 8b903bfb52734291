"""The two starts of the application that a squash makes: the first one is asked where it connects, the second run is a
fork of the other.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tasklib import console
from tasklib.command.project_command import Ran
from tasklib.history.chains import Chain
from tasklib.judge import roles
from tasklib.shell import Result
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND, SECOND

# What a program says that does not start beside itself; one start more shows whether it is that.
IN_USE = re.compile(r"(?i)address already in use|already running|temporarily unavailable|\block(ed)?\b")


def both(bench: Bench, chain: Chain, first: str | None) -> Ran:
    """The run of the command, beside a start of the one that the second run will be a fork of; from now on alone, where
    it does not start beside itself.
    """
    command, addresses = bench.command(), bench.targets(GROUND)
    if bench.plan.alone:
        return command.current(chain, addresses, first)

    def begin() -> Result | None:
        if command.kind != "code":
            return second(bench, chain, first)
        return bench.command(SECOND).current(chain, bench.targets(SECOND), first)  # each run is a start of its own

    # Where the application may not start at all, one start shows it.
    hesitant = not bench.plan.found and bench.addresses().missing()
    other = None
    with ThreadPoolExecutor(1) as beside:
        started = None if hesitant else beside.submit(begin)
        ran = command.current(chain, addresses, first)
    if started is not None:
        other = started.result()
    elif not ran.code:
        other = begin()
    if roles.AT_ONCE.search(ran.stderr):  # both made a role at their start
        return command.current(chain, addresses, first)
    stumbled: Result = ran
    if ran.code and IN_USE.search(ran.stderr):
        bench.end_held()
        ran = command.current(chain, addresses, first)
    elif other is not None and not roles.AT_ONCE.search(other.stderr):
        stumbled = other
    if stumbled.code and not ran.code:
        last = (stumbled.stderr.strip() or "it says nothing").splitlines()[-1]
        console.note(f"  … the application does not start beside itself ({last}): one start after the other")
        bench.save(replace(bench.plan, alone=True))
    return ran


def second(bench: Bench, chain: Chain, first: str | None = None) -> Result | None:
    """Start the application that the second run will be a fork of, if it can be one; harmless where it was. What it
    did, where it ended by itself.

    What it makes at its start in a database of its own is thrown away.
    """
    held = bench.command(GROUND).held
    if held is None or held.reason:
        return None
    return bench.command(SECOND).begin(chain, bench.targets(SECOND), first)
