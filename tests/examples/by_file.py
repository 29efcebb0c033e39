"""Loads an example's modules by file: two examples have modules of the same name."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def loaded(project: Path, *names: str) -> list[ModuleType]:
    """Load the modules in this order, each with the earlier ones to import by their plain names.

    Once they are loaded, those names are free for another example's.
    """
    found = []
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        for name in names:
            own = f"{project.name}_{name}"
            spec = spec_from_file_location(own, project / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = sys.modules[own] = sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(module)
            found.append(module)
    finally:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
    return found
