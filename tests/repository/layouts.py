"""Repositories, configurations and hooks as they are out there: each made from a plain one."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.project import Plain

Layout = Callable[[Plain], Plain]


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
    script = project.write(".git/large-files", LARGE)
    script.chmod(0o755)
    for word in ("clean", "smudge"):
        project.git("config", f"filter.lfs.{word}", f".git/large-files {word}")
    project.git("config", "filter.lfs.required", "true")
    return _with_rows(project)


def git_lfs(project: Plain) -> Plain:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    project.git("lfs", "install", "--local")
    return _with_rows(project)


def _with_rows(project: Plain) -> Plain:
    """A migration reads what git holds a pointer to."""
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
    partial_clone_whose_origin_is_gone, large_files, git_lfs, signed,
)  # fmt: skip
LAYOUTS = [*QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in OTHERS)]
