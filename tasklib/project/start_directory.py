"""Where the project's command is started, and whether it is `flask` or `alembic`, where nobody says so. Reads only."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path, PurePosixPath

from tasklib.project import configs
from tasklib.project.configs import Config
from tasklib.project.sources import parsed
from tasklib.project.tree import Tree, join, upwards

# Where Flask finds an application, or is told where it is.
FLASK_MARKS = (".flaskenv", "wsgi.py", "app.py", "app/__init__.py")
# What a manage.py says that has a `db` command of Flask-Migrate.
MANAGES = re.compile(r"FlaskGroup|flask_script|flask\.ext\.script|MigrateCommand|flask_migrate|flask\.cli")

GROUP = re.compile(r"FlaskGroup|MigrateCommand")
# A line of a package's metadata that makes a program: indico = "indico.cli.core:cli".
SCRIPT = re.compile(r"""(?m)(?:^|["',\[])\s*([\w.-]+)\s*=\s*["']?\s*([A-Za-z_][\w.]*)\s*:\s*[A-Za-z_]\w*""")


def likely_cwd(tree: Tree, script: str, config: Config) -> str:
    """Where the command runs whose configuration would do anywhere: where it finds what env.py imports."""
    default = Path(config.path).name in (configs.INI, configs.TOML)
    above = config.directory if config.directory != script else str(PurePosixPath(script).parent)
    candidates = [above, tree.here] if default else [tree.here, above]
    try:
        body = ast.walk(parsed(tree.text(join(script, "env.py"))))
    except SyntaxError:
        return candidates[0]
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    names.discard("alembic")  # a usual name of script directories as well
    for one in candidates:
        if any(join(one, f"{name}.py") in tree.paths or tree.below(join(one, name)) for name in names):
            return one
    return candidates[0]


def flask_start(tree: Tree, script: str) -> tuple[str, tuple[str, ...]]:
    """Where `flask db` finds the application: here, beside or above the script directory, or where a .flaskenv is; or
    there a manage.py, or a program of the project's own, that stands for it.
    """
    flask = ("flask", "db")
    if "FLASK_APP" in os.environ:
        return tree.here, flask
    candidates = [tree.here, *(one for one in upwards(script) if PurePosixPath(one).is_relative_to(tree.here))]
    for one in candidates:
        if any((tree.top / one / mark).exists() for mark in FLASK_MARKS):
            return one, flask
    told = [path for path in tree.paths if path.endswith("/.flaskenv")]
    if len(told) == 1:
        return str(PurePosixPath(told[0]).parent), flask
    for one in candidates:
        manage = join(one, "manage.py")
        if manage in tree.paths and MANAGES.search(tree.text(manage)):
            return one, ("python", "manage.py", "db")
    for one in candidates:
        if (program := _program(tree, one)) is not None:
            return one, (program, "db")
    return tree.here, flask


def _program(tree: Tree, directory: str) -> str | None:
    """The one program that a package here installs whose module makes a group of Flask's commands, if there is one."""
    found = set()
    for packaging in ("pyproject.toml", "setup.cfg", "setup.py"):
        path = join(directory, packaging)
        for name, module in SCRIPT.findall(tree.text(path)) if path in tree.paths else ():
            inner = module.replace(".", "/")
            files = [join(directory, f"{src}{inner}{end}") for src in ("", "src/") for end in (".py", "/__init__.py")]
            if any(file in tree.paths and GROUP.search(tree.text(file)) for file in files):
                found.add(name)
    return found.pop() if len(found) == 1 else None


def needs_application(tree: Tree, script: str, config: Config) -> bool:
    """Whether env.py needs Flask's application, which `alembic` does not give it: the ini of Flask-Migrate lies in its
    script directory, and people add a script_location there.
    """
    env = tree.text(join(script, "env.py"))
    return config.directory == script and "current_app" in env and "app_context" not in env


def is_flask(tree: Tree, script: str) -> bool:
    inner, env = join(script, configs.INI), join(script, "env.py")
    return inner in tree.paths or re.search(r"\bflask\b|current_app", tree.text(env)) is not None
