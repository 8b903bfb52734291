"""Git as it is out there: each kind of repository, configuration and hook works, or is refused in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import MakePlain
from tests.support.project import BIN, VARIABLE, Done, Plain
from tests.support.world import TINY, world

# What is done without any database: begun, drafted, and given up.
ROUND = f"""
from pathlib import Path
from tasklib.proof import squash_branch
from tasklib.settings import Settings
from tasklib.steps import checkout, reinit, restore

bench = checkout.run(Path.cwd(), Settings(rev="head-1", set=(("{VARIABLE}", "{{url}}"),)), None)
print("gone", reinit.run(bench, init=True), "restored", restore.run(bench))
bench.write_base(f'revision = "{{bench.plan.revision}}"\\ndown_revision = None\\n')
history = bench.history(bench.tree())
assert [m.id for m in history.ordered(history.migrations)] == [bench.plan.revision, *bench.plan.kept]
trouble = squash_branch.put_back(bench)
assert not trouble, trouble
"""
Layout = Callable[[Plain], Plain]


@pytest.fixture
def tiny(make_plain: MakePlain) -> Plain:
    return make_plain(TINY)


def identified(project: Plain) -> Plain:
    project.git("config", "user.name", "Test")
    project.git("config", "user.email", "test@example.com")
    return project


def moved(project: Plain, top: Path) -> Plain:
    return replace(project, top=top)


def cloned(project: Plain, *words: str, name: str = "clone") -> Plain:
    project.git("config", "uploadpack.allowFilter", "true")
    top = project.top.parent / name
    project.run(["git", "clone", "--quiet", *words, project.top.as_uri(), str(top)])
    return identified(moved(project, top))


def plain(project: Plain) -> Plain:
    return project


def submodule(project: Plain) -> Plain:
    above = project.top.parent / "above"
    project.run(["git", "init", "--quiet", str(above)])
    words = ["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", project.top.as_uri(), "inner"]
    project.run(words, cwd=above)
    return identified(moved(project, above / "inner"))


def holding_a_submodule(project: Plain) -> Plain:
    """With a commit checked out in it that is not the one which the project names."""
    other = project.top.parent / "other"
    project.run(["git", "init", "--quiet", str(other)])
    inner = identified(moved(project, other))
    inner.write("x.txt", "1\n")
    inner.commit("one")
    inner.write("x.txt", "2\n")
    inner.commit("two")
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.as_uri(), "vendor/other")
    project.commit("a submodule")
    project.git("config", "submodule.vendor/other.ignore", "all")
    project.run(["git", "checkout", "--quiet", "HEAD~1"], cwd=project.top / "vendor/other")
    return project


def separate_directory(project: Plain) -> Plain:
    project.run(["git", "init", "--quiet", "--separate-git-dir", str(project.top.parent / "elsewhere.git")])
    return project


def linked(project: Plain) -> Plain:
    project.git("worktree", "add", "--quiet", "-b", "other", str(project.top.parent / "linked"))
    return moved(project, project.top.parent / "linked")


def linked_to_bare(project: Plain) -> Plain:
    bare = cloned(project, "--bare", name="bare.git")
    bare.git("worktree", "add", "--quiet", str(project.top.parent / "linked"), "main")
    return moved(project, project.top.parent / "linked")


def tag_of_the_same_name(project: Plain) -> Plain:
    project.git("tag", "main", "HEAD~1")
    project.git("tag", f"squash-{project.ids[1]}")
    return project


# Configurations that change what git prints, or what it does unasked.
ODD = """
color.ui=always color.status=always core.quotePath=true core.pager=false pager.diff=true log.showSignature=true
log.decorate=full status.showUntrackedFiles=no status.branch=true status.short=true grep.lineNumber=true
grep.column=true grep.patternType=perl diff.noprefix=true diff.renames=copies diff.external=false
diff.ignoreSubmodules=all diff.mnemonicPrefix=true merge.ff=only core.autocrlf=true core.safecrlf=true
core.splitIndex=true core.untrackedCache=true index.version=4 core.ignoreStat=false commit.template=/nonexistent
commit.verbose=true commit.cleanup=scissors core.editor=false i18n.commitEncoding=latin1
i18n.logOutputEncoding=latin1 branch.autoSetupMerge=always checkout.defaultRemote=x core.abbrev=4
advice.detachedHead=true column.ui=always submodule.recurse=true fetch.recurseSubmodules=true rerere.enabled=true
core.fileMode=false
"""


def odd_settings(project: Plain) -> Plain:
    for one in ODD.split():
        name, value = one.split("=")
        project.git("config", name, value)
    project.git("add", "--renormalize", ".")
    return project


def sha256(project: Plain) -> Plain:
    shutil.rmtree(project.top / ".git")
    project.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    identified(project).commit("all")
    return project


def reftable(project: Plain) -> Plain:
    shutil.rmtree(project.top / ".git")
    if project.run(["git", "init", "--quiet", "--ref-format=reftable", "-b", "main"], check=False).code:
        pytest.skip("this git has no reftable")
    identified(project).commit("all")
    return project


def sparse(project: Plain) -> Plain:
    project.write("far/away.txt", "x\n")
    project.commit("far")
    project.git("sparse-checkout", "set", "--cone", "--sparse-index", "migrations")
    assert not (project.top / "far").exists()
    return project


def partial_clone(project: Plain) -> Plain:
    return cloned(project, "--filter=blob:none")


def partial_clone_whose_origin_is_gone(project: Plain) -> Plain:
    clone = cloned(project, "--filter=blob:none")
    clone.git("remote", "set-url", "origin", "file:///nonexistent")
    return clone


def shallow_clone(project: Plain) -> Plain:
    return cloned(project, "--depth=1")


def link_among_revisions(project: Plain) -> Plain:
    file = project.file_of(project.ids[0])
    project.write("shared/first.py", file.read_text())
    file.unlink()
    file.symlink_to("../../shared/first.py")
    project.commit("a link")
    return project


def ignored_versions(project: Plain) -> Plain:
    project.write(".gitignore", "__pycache__/\n*.pyc\nmigrations/\n*.jsonl\n")
    project.commit("ignored")
    return project


def long_names(project: Plain) -> Plain:
    file = project.file_of(project.ids[1])
    file.rename(file.with_name(f"{file.stem}_{'x' * (250 - len(file.name))}.py"))
    project.commit("long")
    project.git("branch", "-m", "feature/" + "/".join("b" * 200 for _ in range(3)))
    return project


def odd_names(project: Plain) -> Plain:
    for number, name in ((0, "[a]*?.py"), (1, "ü 'q\" \\t.py"), (2, ":(top)x.py")):
        project.file_of(project.ids[number]).rename(project.versions / name)
    project.write("migrations/:odd", "x\n")
    project.commit("odd")
    return project


def line_break_in_the_path(project: Plain) -> Plain:
    top = project.top.parent / "a line\nbreak and ünïcode"
    project.top.rename(top)
    return moved(project, top)


def attributes(project: Plain) -> Plain:
    """Line ends, a filter, an identifier, and LFS that is not installed."""
    project.write(
        ".gitattributes", "*.py text eol=crlf ident filter=upper\n*.mako filter=lfs diff=lfs merge=lfs -text\n"
    )
    project.git("config", "filter.upper.clean", "sed s/REVISION/revision/")
    project.git("config", "filter.upper.smudge", "sed s/revision_/revision_/")
    project.git("config", "filter.upper.required", "true")
    for file in project.top.rglob("*.py"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    project.git("add", "--renormalize", ".")
    project.commit("attributes")
    return project


# What a filter for large files does: git holds a pointer, the contents are elsewhere.
LARGE = """#!/bin/bash
store="$(git rev-parse --git-common-dir)/large"; mkdir -p "$store"
if [ "$1" = clean ]; then
    cat > "$store/new.$$"; id=$(sha256sum < "$store/new.$$"); mv "$store/new.$$" "$store/${id%% *}"
    echo "version https://git-lfs.github.com/spec/v1"; echo "oid sha256:${id%% *}"
else
    id=$(grep ^oid); cat "$store/${id##*:}"
fi
"""
READS = """
from pathlib import Path

op.execute(Path(__file__).with_name("rows.sql").read_text())
"""


def large_files(project: Plain) -> Plain:
    """A migration reads what git holds a pointer to."""
    script = project.write(".git/large-files", LARGE)
    script.chmod(0o755)
    for word in ("clean", "smudge"):
        project.git("config", f"filter.lfs.{word}", f".git/large-files {word}")
    project.git("config", "filter.lfs.required", "true")
    project.write(".gitattributes", "*.sql filter=lfs -text\n")
    project.write("migrations/versions/rows.sql", "INSERT INTO one VALUES (1), (2)")
    file = project.file_of(project.ids[1])
    file.write_text(file.read_text().replace("def upgrade():\n", f"def upgrade():{textwrap.indent(READS, '    ')}"))
    project.commit("large files")
    assert "oid sha256" in project.git("cat-file", "blob", "HEAD:migrations/versions/rows.sql")
    return project


def signed(project: Plain) -> Plain:
    key = project.top.parent / "key"
    project.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    (project.top.parent / "signers").write_text(f"test@example.com {key.with_suffix('.pub').read_text()}")
    for name, value in (
        ("gpg.format", "ssh"), ("user.signingKey", str(key)), ("commit.gpgSign", "true"),
        ("gpg.ssh.allowedSignersFile", str(project.top.parent / "signers")),
    ):  # fmt: skip
        project.git("config", name, value)
    return project


def hooks_that_fail_or_are_slow(project: Plain) -> Plain:
    for name in ("post-checkout", "post-index-change", "pre-rebase", "fsmonitor-watchman"):
        hook(project, name, "sleep 3; echo from the hook >&2; exit 1" if name == "post-checkout" else "exit 1")
    project.git("config", "core.fsmonitor", ".git/hooks/fsmonitor-watchman")
    return project


def hook(project: Plain, name: str, body: str) -> None:
    file = project.write(f".git/hooks/{name}", f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


QUICK = (plain, submodule, separate_directory, tag_of_the_same_name, odd_settings, ignored_versions, sha256)
OTHERS = (
    linked, linked_to_bare, reftable, sparse, partial_clone, shallow_clone, link_among_revisions, long_names, odd_names,
    line_break_in_the_path, attributes, hooks_that_fail_or_are_slow, holding_a_submodule,
    partial_clone_whose_origin_is_gone, large_files, signed,
)  # fmt: skip
LAYOUTS = [*QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in OTHERS)]


def begin_and_give_up(project: Plain) -> Done:
    return project.run([BIN / "python", "-c", ROUND], check=False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_squash_is_begun_and_given_up_without_a_trace(tiny: Plain, layout: Layout) -> None:
    project = layout(tiny)
    before = world(project)
    done = begin_and_give_up(project)
    assert done.code == 0, done.said
    assert "gone 2 restored" in done.out
    assert world(project) == before
    assert project.git("status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.slow
@pytest.mark.parametrize("layout", [*QUICK[1:], *OTHERS])
def test_a_squash_works(tiny: Plain, layout: Layout) -> None:
    project = layout(tiny)
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1")
    assert done.code == 0, done.said
    assert project.git("rev-parse", "HEAD^") == head
    assert project.git("status", "--porcelain", "--untracked-files=all") == ""
    if layout is not odd_settings:
        assert project.git("rev-parse", "HEAD^{tree}") in project.git("log", "-1", "--format=%B")
    if layout is signed:
        assert project.git("log", "-1", "--format=%G?") == "G"
    if layout is large_files:
        assert "INSERT" in project.base_file.read_text() or "bulk_insert" in project.base_file.read_text()
    assert not [one for one in project.git("branch", "--format=%(refname)").split() if "squash" in one]
    verified = project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url)
    assert verified.code == 0 or layout in (shallow_clone,), verified.said


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


def unsigned(project: Plain) -> None:
    project.git("config", "commit.gpgSign", "true")
    project.git("config", "gpg.program", "false")


def in_a_merge(project: Plain) -> None:
    project.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    project.write("side.txt", "x\n")
    project.commit("side")
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--no-commit", "--no-ff", "-s", "ours", "side")


def in_a_rebase(project: Plain) -> None:
    project.run(["git", "rebase", "--quiet", "--exec", "false", "HEAD~1"], check=False)


def in_a_cherry_pick(project: Plain) -> None:
    project.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    project.write("app.txt", "x\n")
    project.commit("side")
    project.git("checkout", "--quiet", "main")
    project.write("app.txt", "y\n")
    project.commit("main")
    project.run(["git", "cherry-pick", "side"], check=False)


def in_a_bisect(project: Plain) -> None:
    project.git("bisect", "start", "HEAD", "HEAD~3")


def linked_and_detached(project: Plain) -> Plain:
    project.git("worktree", "add", "--quiet", "--detach", str(project.top.parent / "linked"))
    return moved(project, project.top.parent / "linked")


def link_to_the_versions(project: Plain) -> None:
    project.versions.rename(project.top / "revisions")
    project.versions.symlink_to("../revisions")
    project.commit("a link to a directory")


def filter_that_is_not_there(project: Plain) -> None:
    project.write(".gitattributes", "*.py filter=lfs\n")
    project.commit("attributes")
    project.git("config", "filter.lfs.clean", "git-not-there clean -- %f")
    project.git("config", "filter.lfs.smudge", "git-not-there smudge -- %f")
    project.git("config", "filter.lfs.required", "true")


def detached(project: Plain) -> None:
    project.git("checkout", "--quiet", "--detach")


def sparse_without_revisions(project: Plain) -> None:
    project.write("app/x.txt", "x\n")
    project.commit("app")
    project.git("sparse-checkout", "set", "--cone", "app")


def no_directory(project: Plain) -> None:
    (project.top / ".git/alembic-squash").write_text("in the way\n")


def itself(project: Plain) -> None:
    file = project.file_of(project.ids[0])
    file.write_text(file.read_text().replace("down_revision = None", f"down_revision = {project.ids[0]!r}"))
    project.commit("a circle")


def circle(project: Plain) -> None:
    file = project.file_of(project.ids[0])
    file.write_text(file.read_text().replace("down_revision = None", f"down_revision = {project.ids[2]!r}"))
    project.commit("a circle")


def broken_link(project: Plain) -> None:
    (project.versions / "x.py").symlink_to("/nonexistent/x.py")
    project.commit("a link")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (unsigned, r"git is to sign commits .* and cannot"),
        (in_a_merge, r"A merge is in progress"),
        (in_a_rebase, r"A rebase is in progress"),
        (in_a_cherry_pick, r"A cherry-pick is in progress"),
        (in_a_bisect, r"A bisect is in progress"),
        (detached, r"HEAD is detached"),
        (linked_and_detached, r"HEAD is detached"),
        (link_to_the_versions, r"migrations/versions is a link in git"),
        (filter_that_is_not_there, r"its filter 'lfs' failed \(git-not-there .*not found"),
        (sparse_without_revisions, r"marked skip-worktree(.|\n)*hint: git sparse-checkout add migrations/versions"),
        (no_directory, r"alembic-squash cannot be made \(File exists\)"),
        (itself, r"0001bbbbbbbb comes after 0001bbbbbbbb"),
        (circle, r"0001bbbbbbbb comes after 0003dddddddd comes after 0002cccccccc comes after 0001bbbbbbbb"),
        (broken_link, r"x\.py is a link to /nonexistent/x\.py"),
    ],
)
def test_it_is_refused_in_one_sentence(tiny: Plain, state: Callable[[Plain], Plain | None], words: str) -> None:
    tiny = state(tiny) or tiny
    before = world(tiny)
    done = tiny.tool("checkout", "--rev", "head-1", "--uri-var", VARIABLE)
    assert done.code == 1 and re.search(words, done.err), done.said
    assert "Traceback" not in done.said and world(tiny) == before


def test_a_repository_of_somebody_elses_is_refused_with_what_git_wants(tiny: Plain) -> None:
    done = tiny.tool("status", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert done.code == 1 and re.search(r"hint: git config --global --add safe\.directory ", done.err), done.said


@pytest.mark.parametrize(
    ("redirection", "variables", "shown"),
    [
        ("<&-", {}, "goes"),
        (">&- 2>&-", {}, ""),
        ("<&- >&- 2>&-", {}, ""),
        ("", {"PYTHONIOENCODING": "ascii"}, r"\u2026"),
        ("", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "goes"),
        ("", {"HOME": "/nonexistent"}, "goes"),
        (">/dev/full", {}, ""),
    ],
)
def test_streams_and_locales_of_any_kind_are_no_obstacle(
    tiny: Plain, redirection: str, variables: Mapping[str, str], shown: str
) -> None:
    file = tiny.file_of(tiny.ids[1])
    file.write_text(file.read_text().replace('"""two', '"""two… with ünïcode'), encoding="utf-8")
    tiny.commit("a message")
    before = world(tiny)
    done = subprocess.run(
        ["bash", "-c", f"{BIN}/alembic-squash plan --rev head-1 --uri-var {VARIABLE} {redirection}"],
        cwd=tiny.top, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.returncode == (141 if "full" in redirection else 0), done.stderr
    assert shown in done.stdout
    assert world(tiny) == before
