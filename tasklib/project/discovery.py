"""Where the project keeps its migrations, and how it runs them. Reads only."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from tasklib.errors import Refused
from tasklib.project import configs, own_program, start_directory
from tasklib.project.command_line import Words
from tasklib.project.configs import Config
from tasklib.project.layout import Layout
from tasklib.project.tree import Tree, join, upwards
from tasklib.repository import trees
from tasklib.repository.git import Repository, remembered
from tasklib.settings import Settings

PACKAGING = ("pyproject.toml", "setup.py", "setup.cfg")


def find_layout(repository: Repository, commit: str, settings: Settings, cwd: Path) -> Layout:
    """The script directory, its version locations and the command; `Refused` where there is none or several."""
    top = repository.top.resolve()
    here = PurePosixPath(cwd.resolve().relative_to(top).as_posix())
    tree = Tree(repository, commit, top, str(here), frozenset(e.path for e in repository.files(commit)))
    # ALEMBIC_CONFIG is what `alembic` reads where no -c is given.
    named = Words.parse(settings.command or (("alembic",) if os.environ.get("ALEMBIC_CONFIG") else ()))
    scripts = tree.scripts
    around = dict.fromkeys([*map(str, [here, *here.parents]), *(one for script in scripts for one in upwards(script))])
    known = configs.read_all(repository, commit, around)
    if named and named.kind == "alembic":
        known = _named_configs(tree, named, known)
    elif named:
        known = []
    by_name = bool(named and named.files)
    resolved = [(one, tree.resolve(one, tree.cwds(one.directory, named=by_name))) for one in known]
    script = _script_directory(tree, settings, named, scripts, {found[0] for _, found in resolved if found})
    fitting = [(one, found[1]) for one, found in resolved if found and found[0] == script]
    if not fitting and named and named.kind == "alembic":
        said = ", ".join(f"{c.path} (script_location = {c.script_location})" for c, _ in resolved) or "none was found"
        raise Refused(f"No configuration of Alembic has {script} as its script_location: {said}.",
                      "--command 'alembic -c FILE', or --directory DIR")  # fmt: skip
    if fitting and not named and start_directory.needs_application(tree, script, fitting[0][0]):
        fitting = []
    if fitting and fitting[0][0].sourceless:
        raise Refused(
            f"{fitting[0][0].path} says sourceless = true: Alembic takes compiled files for revisions, and those of "
            "the squashed migrations would stay beside the base, here and wherever else they were run.",
            f"set sourceless = false, commit, squash; and in every checkout: find {script} -name '*.pyc' -delete",
        )
    if fitting:
        if not (named and named.section):
            _refuse_sections(tree, [one for one, _ in fitting if one.path == fitting[0][0].path and not one.toml])
        return _alembic(tree, named, script, *fitting[0])
    if not named and not start_directory.is_flask(tree, script):
        own = own_program.words(tree)
        if own is not None:
            return _flask(tree, Words("", own), script)
        raise Refused(
            f"{script} is no script directory of Flask-Migrate, and no alembic.ini or pyproject.toml names it: its "
            "configuration seems to be built in code.",
            "--command 'python -m yourapp.db', the command that takes Alembic's words (current, show, upgrade, "
            "downgrade); or --command 'alembic -c FILE'",
        )
    return _flask(tree, named, script)


def _refuse_sections(tree: Tree, alike: Sequence[Config]) -> None:
    """`Refused` where one script directory is for several sections of an ini, which are more than addresses apart:
    its migrations may be run once for each, and one base would be of one of them.
    """
    names = [one.section for one in alike]
    if len(names) > 1 and "alembic" not in names:  # which is the one that is meant
        path = alike[0].path
        apart = configs.differing(configs.text_of(tree.repository, tree.commit, path), names)
        if apart:
            raise Refused(
                f"{path} has the sections {', '.join(names)} for one script directory, and they differ in "
                f"{', '.join(apart)}: the base would be of one of them alone.",
                f"--command 'alembic -n {names[0]}' where that makes no difference to the migrations",
            )


def _alembic(tree: Tree, named: Words | None, script: str, config: Config, needed: str | None) -> Layout:
    cwd = needed or (tree.here if named and named.files else start_directory.likely_cwd(tree, script, config))
    words = named.words if named else ("alembic",)
    if not (named and named.section) and config.section not in ("", "alembic"):
        words = (*words, "-n", config.section)
    ini = config.path
    if config.toml:
        # What is not in pyproject.toml (the URL, the logging) is in an alembic.ini beside it, if at all.
        files = [file for file in named.files if Path(file).name != configs.TOML] if named else []
        ini = _from_top(tree, files[0], tree.here) if files else join(config.directory, configs.INI)
    locations = _locations(tree, config, script, cwd)
    return Layout(
        kind="alembic", script=script, locations=locations, ini=ini,
        command=_from(cwd, words, tree.here), cwd=cwd,
        section=config.section or (named.section if named and named.section else "alembic"),
        toml=config.path if config.toml else None, recursive=config.recursive, hooks=config.hooks,
        in_place=_sets_locations(tree, script) or _import_each_other(tree, locations),
    )  # fmt: skip


def _flask(tree: Tree, named: Words | None, script: str) -> Layout:
    cwd, words = (tree.here, named.words) if named else start_directory.flask_start(tree, script)
    inner = join(script, configs.INI)
    config = configs.parse_ini(configs.text_of(tree.repository, tree.commit, inner), inner, "alembic", tree.top)
    kind = (named.kind or "code") if named else "flask"
    locations = _locations(tree, config, script, cwd)
    return Layout(
        kind=kind, script=script, locations=locations, ini=None,
        command=_from(cwd, words, tree.here), cwd=cwd,
        recursive=config.recursive, hooks=config.hooks,
        in_place=kind == "code" or _sets_locations(tree, script) or _import_each_other(tree, locations),
    )  # fmt: skip


def _named_configs(tree: Tree, named: Words, known: Iterable[Config]) -> list[Config]:
    """The configurations that the words of a command mean: those of -c (else ALEMBIC_CONFIG) and -n."""
    files = named.files or tuple(filter(None, [os.environ.get("ALEMBIC_CONFIG", "")]))
    if not files:
        default = join(tree.here, configs.INI)
        wanted = [one for one in known if named.section is None or one.toml or one.section == named.section]
        return sorted(wanted, key=lambda one: one.path != default)
    found = []
    for file in files:
        path = _from_top(tree, file, tree.here)
        if path.startswith("../"):
            raise Refused(
                f"--command names the configuration {file}, which is outside of the repository {tree.top}.",
                "copy it into the repository; git may ignore it there",
            )
        text = configs.text_of(tree.repository, tree.commit, path)
        if not text:
            raise Refused(f"--command names the configuration {file}, and there is no {path} in this repository.")
        if Path(path).name == configs.TOML:
            found += [one for one in [configs.parse_toml(text, path, tree.top)] if one]
        else:
            found.append(configs.parse_ini(text, path, named.section or "alembic", tree.top))
    return [one for one in found if one.script_location]


def _script_directory(
    tree: Tree, settings: Settings, named: Words | None, scripts: list[str], configured: set[str]
) -> str:
    found = sorted({*scripts, *configured})
    if settings.directory:
        # From where the user is; or from the top level, as paths in messages are.
        places = [Path(tree.top, one, settings.directory).resolve() for one in (tree.here, ".")]
        held = (one for one in places if os.path.relpath(one / "env.py", tree.top) in tree.paths)
        wanted = next(held, places[0])
        if not wanted.is_relative_to(tree.top):
            raise Refused(f"--directory {settings.directory} is outside of the repository {tree.top}.")
        inner = wanted.relative_to(tree.top).as_posix()
        if join(inner, "env.py") not in tree.paths:
            raise Refused(
                f"--directory {settings.directory} holds no committed env.py, so it is no script directory; "
                f"{'found: ' + ', '.join(found) if found else 'none was found in this repository'}.",
                f"--directory {_shown(tree, found[0])}" if found else "flask db init",
            )
        return inner
    if len(configured) == 1 and named is not None:
        return min(configured)
    # A template of a script directory, for plugins say, holds no revision.
    filled = [
        one for one in found
        if one in configured or any(re.match(rf"{re.escape(join(one, 'versions'))}/.+\.py$", p) for p in tree.paths)
    ]  # fmt: skip
    found = filled or found
    here = PurePosixPath(tree.here)
    choice = [one for one in found if here == PurePosixPath(".") or PurePosixPath(one).is_relative_to(here)] or found
    if not choice:
        raise Refused(
            "No script directory is committed here: no env.py beside a script.py.mako or a versions directory.",
            "commit your migrations, or name the directory with --directory",
        )
    usual = join(tree.here, "migrations")
    if len(choice) > 1 and usual in choice and start_directory.is_flask(tree, usual):
        return usual  # as `flask db` takes it where no -d is given
    if len(choice) > 1:
        raise Refused(
            f"There are several script directories: {', '.join(choice)}.", f"--directory {_shown(tree, choice[0])}"
        )
    return choice[0]


def _shown(tree: Tree, path: str) -> str:
    """A path as it can be typed where the user is."""
    return os.path.relpath(path, tree.here)


def _locations(tree: Tree, config: Config, script: str, cwd: str) -> tuple[str, ...]:
    if not config.version_locations:
        return _of_postgresql(tree, join(script, "versions")) if _sets_locations(tree, script) else (
            join(script, "versions"),
        )  # fmt: skip
    directories = {str(parent) for path in tree.paths for parent in PurePosixPath(path).parents}
    found = []
    for location in config.version_locations:
        known = configs.resolve(location, tree.top, directories, [cwd])
        inner = known[0] if known else os.path.relpath(Path(tree.top, cwd, location), tree.top)
        if inner.startswith("..") or (known is None and ":" in location):
            raise Refused(
                f"{config.path} names the version location {location}, which is not in this repository: its revisions "
                "cannot be told from those that go.",
            )
        found.append(inner)
    return tuple(dict.fromkeys(found))


def _sets_locations(tree: Tree, script: str) -> bool:
    """Whether env.py itself says where the revisions lie, by the kind of database say."""
    env = join(script, "env.py")
    return env in tree.paths and "version_locations" in tree.text(env)


def _of_postgresql(tree: Tree, versions: str) -> tuple[str, ...]:
    """The one directory below that is called after PostgreSQL, or the one above where there is none."""
    below = {str(PurePosixPath(path).parent) for path in tree.paths if path.startswith(f"{versions}/")}
    named = sorted(one for one in below if re.search(r"(?i)postgres|(^|[/_])pg($|[/_])", one.removeprefix(versions)))
    return (named[0],) if len(named) == 1 else (versions,)


def _import_each_other(tree: Tree, locations: Sequence[str]) -> bool:
    """Whether revision files seem to import each other by their package's path, which leads into the work tree."""
    for place in locations:
        package = r"\.".join(re.escape(part) for part in PurePosixPath(place).parts[-2:])
        if trees.files_matching(
            tree.repository, rf"(from|import|import_module\().*\b{package}\b", tree.commit, f"{place}/*.py"
        ):
            return True
    return False


def _from_top(tree: Tree, file: str, cwd: str) -> str:
    """A path that the user gave, from the top level."""
    return os.path.relpath(Path(tree.top, cwd, file), tree.top)


def _from(cwd: str, words: tuple[str, ...], here: str) -> tuple[str, ...]:
    """The words with a program that was named from ``here`` (`.venv/bin/alembic`) named from ``cwd``."""
    if "/" in words[0] and not Path(words[0]).is_absolute() and cwd != here:
        return (os.path.relpath(Path(here, words[0]), cwd), *words[1:])
    return words


@remembered
def own_packages(repository: Repository, commit: str, layout: Layout) -> dict[str, tuple[str, ...]]:
    """The project's own importable packages and modules: name → the directories that hold one, from the top level.

    At the top level, where the command runs, wherever a package of a larger repository is made (it has a pyproject.toml
    or setup.py), and in src/ of all these. A script directory is none, nor what is called as a module of the standard
    library, or as everybody's tests.
    """
    paths = {entry.path for entry in repository.files(commit)}
    made = sorted(str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name in PACKAGING)
    tops = (layout.cwd, ".", *made)
    roots = dict.fromkeys(os.path.normpath(one) for top in tops for one in (top, f"{top}/src"))
    others = {"tests", "test", "docs", "examples", "setup", "conftest", *sys.stdlib_module_names}
    found: dict[str, list[str]] = {}
    ordered = sorted(paths)
    for root in roots:
        for path in ordered:
            inner = path if root == "." else path.removeprefix(f"{root}/")
            if root != "." and inner == path:
                continue
            name = re.fullmatch(r"([A-Za-z_]\w*)(?:(?:/[A-Za-z_]\w*)?/__init__)?\.py", inner)
            at = f"{root}/{name.group(1)}" if name is not None else ""
            if name is not None and name.group(1) not in others and f"{os.path.normpath(at)}/env.py" not in paths:
                found.setdefault(name.group(1), []).append(root)
    return {name: tuple(dict.fromkeys(places)) for name, places in found.items()}
