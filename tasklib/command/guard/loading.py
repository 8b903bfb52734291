"""Does something to modules right after they ran, however they are imported, looked up before, or loaded anew."""

import sys
from typing import Any, Callable

Hook = Callable[[Any, bool], None]  # gets the module, and whether others may hold what is in it already


class Hooks:
    """A finder at the head of `sys.meta_path`: modules come from where they would anyway."""

    def __init__(self, hooks: "dict[str, Hook]") -> None:
        self.hooks = hooks

    def install(self) -> None:
        """Watch what will be imported, and what a .pth file has imported before."""
        sys.meta_path.insert(0, self)
        for name, hook in self.hooks.items():
            if name in sys.modules:
                hook(sys.modules[name], True)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the other finders have, whose loader then runs the hook too."""
        hook = self.hooks.get(name)
        if hook is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if spec.loader is not None:
                    _then(spec.loader, hook)
                return spec
        return None


def _then(loader: Any, hook: Hook) -> None:
    run = loader.exec_module

    def exec_module(module: Any) -> None:
        run(module)
        hook(module, False)

    loader.exec_module = exec_module


def replace(old: Any, new: Any) -> None:
    """Put ``new`` wherever a module that is loaded has ``old``."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        for name, value in list(names.items()) if isinstance(names, dict) else ():
            if value is old and names is not None:
                names[name] = new
