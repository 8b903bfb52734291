"""What the system may be short of: a sentence with the place, nothing lost, and all well once there is room again."""

from __future__ import annotations

import re

import pytest

from tests.conftest import MakePlain
from tests.support import needs
from tests.support.project import BIN, VARIABLE, Done, Plain
from tests.support.world import TINY, world

CHECKOUT = f"{BIN}/alembic-squash checkout --rev head-1 --uri-var {VARIABLE}"
ABORT = f"{BIN}/alembic-squash abort"


FULL = re.compile("No space left on device|hint: df -h")


@pytest.fixture
def tiny(make_plain: MakePlain) -> Plain:
    project = make_plain(TINY)
    (project.top / ".git/info").mkdir(exist_ok=True)
    (project.top / ".git/info/exclude").write_text("filler\n")
    return project


def shell(project: Plain, script: str, *before: str) -> Done:
    return project.run([*before, "bash", "-c", script], check=False)


MOUNTING = ("unshare", "-m")  # what is mounted is seen by this process and its children alone


@needs.mounts
@pytest.mark.parametrize("where", ["checkout", "reinit --init"])
def test_a_full_disk_is_named_and_nothing_is_lost(tiny: Plain, where: str) -> None:
    before = world(tiny)
    small = tiny.top.parent / "small"
    small.mkdir()
    script = f"""
        mount -t tmpfs -o size=3m none {small} && cp -a {tiny.top} {small}/project && cd {small}/project || exit 99
        [ "{where}" = checkout ] || {CHECKOUT} || exit 98
        dd if=/dev/zero of=filler bs=4k status=none 2>/dev/null
        {CHECKOUT if where == "checkout" else f"{BIN}/alembic-squash {where}"}; echo "code $?"
        rm filler
        {ABORT} || exit 97
        rm -r {tiny.top} && cp -a {small}/project {tiny.top}
    """
    done = shell(tiny, script, *MOUNTING)
    assert done.code == 0, done.said
    assert "code 2" in done.out or "code 1" in done.out, done.said
    assert FULL.search(done.err) and "Traceback" not in done.err, done.said
    assert world(tiny) == before
    tiny.assert_nothing_left()


@needs.mounts
def test_a_temporary_directory_without_room_is_named(tiny: Plain) -> None:
    before = world(tiny)
    small = tiny.top.parent / "small"
    small.mkdir()
    mounted = f"mount -t tmpfs -o size=4k none {small} && export TMPDIR={small}"
    script = f"{mounted} && {CHECKOUT} && {BIN}/alembic-squash reinit"
    done = shell(tiny, script, *MOUNTING)
    assert done.code in (1, 2) and FULL.search(done.err) and "Traceback" not in done.err, done.said
    if (tiny.top / ".git/alembic-squash").exists():
        assert tiny.tool("abort").code == 0
    assert world(tiny) == before


@needs.mounts
def test_a_repository_that_may_only_be_read_is_refused(tiny: Plain) -> None:
    before = world(tiny)
    script = (
        f"mount --bind -o ro {tiny.top} {tiny.top} && mount -o remount,ro,bind {tiny.top}; cd {tiny.top}; {CHECKOUT}"
    )
    done = shell(tiny, script, *MOUNTING)
    assert done.code == 1 and "Read-only file system" in done.err and "Traceback" not in done.err, done.said
    assert world(tiny) == before


@pytest.mark.parametrize("limit", ["-n 12", "-f 0"])
def test_few_descriptors_or_small_files_are_a_sentence(tiny: Plain, limit: str) -> None:
    before = world(tiny)
    done = shell(tiny, f"ulimit {limit}; {CHECKOUT}")
    assert done.code in (1, 2) and "Traceback" not in done.err, done.said
    if (tiny.top / ".git/alembic-squash").exists():
        assert tiny.tool("abort").code == 0
    assert world(tiny) == before


@pytest.mark.slow
@needs.another_user
def test_a_user_without_a_passwd_entry_is_told_so(tiny: Plain) -> None:
    tiny.run(["chmod", "-R", "a+rwX", str(tiny.top.parent)])
    for above in tiny.top.parents[1:4]:
        above.chmod(0o755)
    words = f"{BIN}/alembic-squash squash --rev head-1 --uri-var {VARIABLE}"
    done = shell(tiny, f"HOME=/nonexistent GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' "
                       f"setpriv --reuid=54321 --regid=54321 --clear-groups {words}")  # fmt: skip
    assert "Traceback" not in done.said, done.said
    assert done.code == 0 or "passwd" in done.err or "54321" in done.err, done.said
