"""Hooks of the user's: what they change is followed, what they refuse is named with their words."""

from __future__ import annotations

import pytest

from tests.repository.layouts import hook
from tests.support.project import Plain
from tests.support.world import world


@pytest.mark.slow
def test_a_commit_hook_that_reformats_is_followed_and_what_it_made_is_proven(tiny: Plain) -> None:
    """As `ruff format` in pre-commit: it changes the file and fails, and changes nothing when it is run again."""
    name = tiny.file_of(tiny.ids[1]).relative_to(tiny.top)
    hook(
        tiny,
        "pre-commit",
        f"grep -q formatted {name} || {{ echo '# formatted' >> {name}; echo reformatted >&2; exit 1; }}",
    )
    done = tiny.squash("head-1")
    assert done.code == 0, done.said
    tiny.assert_nothing_left()
    assert tiny.base_file.read_text().endswith("# formatted\n")
    assert tiny.git("rev-parse", "HEAD^{tree}") in tiny.git("log", "-1", "--format=%B")


@pytest.mark.slow
def test_a_commit_hook_that_never_leaves_a_file_alone_is_refused_once(tiny: Plain) -> None:
    name, head = tiny.file_of(tiny.ids[1]).relative_to(tiny.top), tiny.git("rev-parse", "HEAD")
    hook(tiny, "pre-commit", f"echo '# again' >> {name}; git add {name}")
    before = world(tiny)
    done = tiny.squash("head-1")
    assert done.code == 1 and "hook" in done.err, done.said
    assert world(tiny) == before
    tiny.assert_nothing_left(head)


@pytest.mark.slow
def test_a_commit_hook_that_wants_a_terminal_fails_with_its_own_words_and_does_not_hang(tiny: Plain) -> None:
    hook(tiny, "pre-commit", "exec < /dev/tty; read answer; exit 1")
    before = world(tiny)
    done = tiny.squash("head-1")
    assert done.code == 2 and "/dev/tty" in done.err, done.said
    assert world(tiny) == before


@pytest.mark.slow
def test_a_commit_hook_that_takes_its_time_and_rewrites_the_message_is_no_obstacle(tiny: Plain) -> None:
    """As those that put a ticket's number there, or a trailer."""
    hook(tiny, "pre-commit", "sleep 2; seq 100000 >&2")
    hook(tiny, "commit-msg", 'printf "[ABC-1] %s\\n\\nReviewed-by: nobody\\n" "$(cat "$1")" > "$1"')
    done = tiny.squash("head-1")
    assert done.code == 0, done.said
    assert tiny.git("log", "-1", "--format=%s").startswith("[ABC-1] Squash 2 migrations")
    again = tiny.tool("merge")
    assert again.code == 0 and "committed already" in again.out, again.said
    undone = tiny.tool("undo", "--server", tiny.server_url)
    assert undone.code == 0, undone.said
    assert tiny.git("rev-parse", "HEAD^{tree}") == tiny.git("rev-parse", "HEAD~2^{tree}")
    tiny.assert_nothing_left()


@pytest.mark.slow
def test_a_commit_hook_that_wants_another_message_is_named_with_its_words(tiny: Plain) -> None:
    hook(tiny, "commit-msg", 'grep -q "^[a-z]*: " "$1" || { echo "subject must have a type" >&2; exit 1; }')
    before = world(tiny)
    done = tiny.squash("head-1")
    assert done.code == 2 and "subject must have a type" in done.err, done.said
    assert world(tiny) == before


@pytest.mark.slow
def test_a_hook_that_refuses_to_move_the_branch_is_named_with_its_words(tiny: Plain) -> None:
    hook(
        tiny,
        "reference-transaction",
        'grep -q refs/heads/main && [ "$1" = prepared ] && echo protected >&2 && exit 1; exit 0',
    )
    before = world(tiny)
    done = tiny.squash("head-1")
    assert done.code == 2 and "protected" in done.err and "somebody moved it" not in done.err, done.said
    assert world(tiny) == before
