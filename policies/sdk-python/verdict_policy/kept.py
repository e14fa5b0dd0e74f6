"""Files in memory: a component has none of its own. ``keep`` reads them when it is built; after that ``open``, ``os.stat``,
``os.listdir``, ``os.scandir`` and imports find them where they lay. They cannot be changed.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import io
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType, TracebackType
from typing import Any

_files: dict[str, bytes] = {}
# Names in each folder, sorted.
_folders: dict[str, list[str]] = {}


def keep(roots: Sequence[str], left_out: Sequence[str] = ()) -> None:
    """Reads everything below ``roots`` but what has one of these names directly below them, and puts it where Python looks."""
    for root in roots:
        _read(root, left_out)
    _install(list(roots))


def _read(folder: str, left_out: Sequence[str] = ()) -> None:
    names = sorted(name for name in os.listdir(folder) if name != "__pycache__" and name not in left_out)
    _folders[folder] = names
    for name in names:
        path = f"{folder}/{name}"
        # Asked for its status, each file system would say something else, which would leave other holes in memory.
        try:
            with open(path, "rb") as file:
                _files[path] = file.read()
        except IsADirectoryError:
            _read(path)


def _known(path: Any) -> str | None:
    """The path of something that is kept."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    known = os.path.normpath(os.path.join("/", os.fsdecode(path)))
    return known if known in _files or known in _folders else None


class _File(io.BytesIO):
    def __init__(self, path: str) -> None:
        super().__init__(_files[path])
        self.name = path

    @property
    def mode(self) -> str:
        return "rb"

    def writable(self) -> bool:
        return False


class _Entry:
    """As ``os.scandir`` gives them."""

    def __init__(self, folder: str, name: str) -> None:
        self.name, self.path = name, f"{folder}/{name}"

    def __fspath__(self) -> str:
        return self.path

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self.path in _folders

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self.path in _files

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _stat(self.path)


class _Entries:
    def __init__(self, folder: str) -> None:
        self._entries = iter([_Entry(folder, name) for name in _folders[folder]])

    def __iter__(self) -> Iterator[_Entry]:
        return self._entries

    def __next__(self) -> _Entry:
        return next(self._entries)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _stat(path: str) -> os.stat_result:
    mode, size = (stat.S_IFREG | 0o444, len(_files[path])) if path in _files else (stat.S_IFDIR | 0o555, 0)
    return os.stat_result((mode, 0, 0, 1, 0, 0, size, 0, 0, 0))


class _Finder:
    """Modules that nobody had imported when the component was built. They are compiled anew in each review."""

    def __init__(self, roots: list[str]) -> None:
        self._roots = roots

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        for root in self._roots if path is None else path:
            base = f"{root}/{name.rpartition('.')[2]}"
            for file, package in ((f"{base}/__init__.py", [base]), (f"{base}.py", None)):
                if file in _files:
                    loader = importlib.machinery.SourceFileLoader(name, file)
                    return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=package)
            if base in _folders:
                spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = [base]
                return spec
        return None


def _install(roots: list[str]) -> None:
    real_open, real_stat, real_lstat, real_listdir, real_scandir = builtins.open, os.stat, os.lstat, os.listdir, os.scandir
    real_get_data = importlib.machinery.SourceFileLoader.get_data

    def opened(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
               *arguments: Any, **more: Any) -> Any:
        path = _known(file)
        if path is None or path in _folders:
            return real_open(file, mode, buffering, encoding, errors, newline, *arguments, **more)
        if set(mode) & set("wax+"):
            raise PermissionError(f"{path} is kept in the component, which cannot be changed")
        return _File(path) if "b" in mode else io.TextIOWrapper(_File(path), encoding or "utf-8", errors, newline)

    def instead(real: Any, kept: Any) -> Any:
        def call(path: Any = ".", *arguments: Any, **more: Any) -> Any:
            known = _known(path)
            return real(path, *arguments, **more) if known is None else kept(known)

        return call

    def names(path: str) -> list[str]:
        if path in _files:
            raise NotADirectoryError(path)
        return list(_folders[path])

    def entries(path: str) -> _Entries:
        names(path)
        return _Entries(path)

    def get_data(self: Any, path: str) -> bytes:
        known = _known(path)
        return _files[known] if known in _files else real_get_data(self, path)

    builtins.open = io.open = opened
    os.stat, os.lstat = instead(real_stat, _stat), instead(real_lstat, _stat)
    os.listdir, os.scandir = instead(real_listdir, names), instead(real_scandir, entries)
    setattr(importlib.machinery.SourceFileLoader, "get_data", get_data)
    # Before the one that looks into folders, which finds only that there are none.
    at = sys.meta_path.index(importlib.machinery.PathFinder)
    sys.meta_path.insert(at, _Finder(roots))
