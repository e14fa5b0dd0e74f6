"""The module that componentize-py imports, from a zip: everything else is imported by it, opened by name. Nothing lists a folder
or asks for the times of a file, so that no order of a file system and no clock is left in the memory that becomes the component.
"""

import _imp
import _io
import gc
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import SourceFileLoader, spec_from_file_location

# Where the tool mounts Python itself, the bindings, what `verdict build` gives it, and what it adds.
ROOTS = ["/python", "/world", "/0", "/1", "/2", "/3", "/4", "/bundled"]


class Opened:
    """Finds modules by opening their files."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        last = name.rpartition(".")[2]
        spread = []
        for root in ROOTS if path is None else path:
            folder = f"{root}/{last}"
            for file, within in ((f"{folder}/__init__.py", [folder]), (f"{folder}.py", None)):
                if there(file):
                    loader = SourceFileLoader(name, file)
                    return spec_from_file_location(name, file, loader=loader, submodule_search_locations=within)
            if there(folder) is None:
                spread.append(folder)
        if not spread:
            return None
        # A package without an __init__.py.
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = spread
        return spec


def there(path):
    """Whether a file can be read; of a folder None."""
    try:
        _io.FileIO(path).close()
    except IsADirectoryError:
        return None
    except OSError:
        return False
    return True


def listed(folders):
    """`os.listdir` gives these names of these folders from now on."""
    import os

    real = os.listdir
    os.listdir = lambda path=".": list(folders[path]) if path in folders else real(path)


start = _imp.create_dynamic(ModuleSpec("verdict_start", None, origin="/0/verdict_start.cpython-314-wasm32-wasi.so"))
_imp.exec_dynamic(start)
sys.path[:] = ROOTS
hooks, sys.path_hooks[:] = sys.path_hooks[:], []
sys.path_importer_cache.clear()
# Before the one that would look into folders; without its hooks it finds nothing.
sys.meta_path.insert(-1, Opened)
import verdict_guest

# The tool imports it next.
import random

globals().update(verdict_guest.exported)
sys.meta_path.remove(Opened)
sys.path_hooks[:] = hooks
sys.path_importer_cache.clear()
# It is seeded anew in every review.
random.seed(0)
gc.collect()
start.end()
