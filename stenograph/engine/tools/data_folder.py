"""The data folder: files that runs may name by a path, and nothing outside it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from msgspec import Struct

from stenograph.engine.errors import DataRefused

SHOWN_MAX = 200


class DataFolder(Struct, frozen=True):
    """A folder by its real path; files whose real paths begin as one of ``hidden`` are not there."""

    path: str
    hidden: tuple[str, ...] = ()


def open_data_folder(
    folder: str | PathLike[str], hidden: Iterable[str | PathLike[str]] = ()
) -> DataFolder:
    """Return a data folder; raises DataRefused when it is none that can be read.

    ``hidden``: files that are not for tools, with all that stands beside them under a longer name.
    """
    try:
        real = Path(folder).resolve(strict=True)
        next(real.iterdir(), None)
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataRefused(f"the data folder {str(folder)!r} cannot be read: {why}") from None
    return DataFolder(str(real), tuple(map(os.path.realpath, hidden)))


def find(folder: DataFolder | None, path: object) -> Path:
    """Return the file at ``path`` in the data folder, links followed; raises DataRefused.

    What lies outside is refused alike whether it is there or not.
    """
    if folder is None:
        raise DataRefused(
            "there is no data folder here: start with steno serve --data FOLDER, "
            "or st.open(…, data=FOLDER)"
        )
    if not isinstance(path, str) or not path or "\0" in path:
        raise DataRefused(f"a path in the data folder is text, not {path!r:.{SHOWN_MAX}}")
    shown = f"{path!r:.{SHOWN_MAX}}"
    try:  # with realpath, for which circles of links and unreadable folders are as any other
        real = Path(os.path.realpath(Path(folder.path) / path))
    except ValueError:  # a lone surrogate, which no path has
        real = Path(folder.path)
    if not real.is_relative_to(folder.path) or str(real).startswith(folder.hidden):
        raise DataRefused(
            f"{shown} does not lead to a file in the data folder; "
            "give a path in it, such as tables/sales.csv"
        )
    if not _is_file(real):
        raise DataRefused(f"there is no file {shown} in the data folder")
    return real


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, or a folder on the way cannot be read
        return False
