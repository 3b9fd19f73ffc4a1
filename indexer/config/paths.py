"""Reads paths of the file."""

from __future__ import annotations

from pathlib import Path

from indexer.config.showing import show
from indexer.config.values import Reader, WrongValue, text


def folder_path(value: object) -> Path:
    hint = "write the path of a folder; a relative one begins at this file's folder"
    given = text(hint, longest=4096)(value)
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise WrongValue("there is no such user, or no home folder", hint, show(value)) from error


def file_in(base: Path) -> Reader[Path | None]:
    """The absolute path of a file that is there; nothing for empty text."""

    def read(value: object) -> Path | None:
        if value == "":
            return None
        path = base / folder_path(value)
        if not path.is_file():
            raise WrongValue("there is no such file", "a relative path begins at this file's folder", show(value))
        return path

    return read
