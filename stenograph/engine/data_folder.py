"""The data folder: files that runs may name by a path, and nothing outside it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from stenograph.engine.errors import DataRefused

SHOWN_MAX = 200


def checked_folder(folder: str | PathLike[str]) -> str:
    """Return a folder's real path; raises DataRefused when it is none that can be read."""
    try:
        real = Path(folder).resolve(strict=True)
        next(real.iterdir(), None)
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataRefused(f"the data folder {str(folder)!r} cannot be read: {why}") from None
    return str(real)


def find(folder: str | None, path: object) -> Path:
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
    try:
        real = (Path(folder) / path).resolve()
        is_file = real.is_file()
    except (OSError, RuntimeError):  # a name that is too long, or links in a circle
        real, is_file = Path(folder), False
    if not real.is_relative_to(folder):
        raise DataRefused(
            f"{shown} does not lead to a file in the data folder; "
            "give a path in it, such as tables/sales.csv"
        )
    if not is_file:
        raise DataRefused(f"there is no file {shown} in the data folder")
    return real
