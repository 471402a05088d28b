"""Files that are whole or absent: written under another name, synced, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qtomo.errors import Code, InputError

__all__ = ["atomic_folder", "atomic_output", "check_absent", "disk_errors", "read_text", "write_atomic"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_absent(path: str | os.PathLike[str], overwrite: bool) -> Path:
    """The path, once sure that it may be written.

    Raises:
        InputError: it exists and `overwrite` is false, it is a directory, or its folder does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(Code.KIND, f"{path}: is a directory, expected the name of a file")
    if path.exists() and not overwrite:
        raise InputError(Code.EXISTS, f"{path}: exists already; give --overwrite (overwrite=True) to replace it")
    if not path.absolute().parent.is_dir():
        raise InputError(Code.ABSENT, f"{path}: its folder does not exist")
    return path


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, or a folder that may not be written, into one clear message."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InputError(Code.ENVIRONMENT, f"{path}: cannot be written, no space left on the disk") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(Code.ENVIRONMENT, f"{path}: cannot be written, permission denied") from error
        raise


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and deleted when it does not.

    A process killed in between leaves a hidden `.NAME.partial`, which the next writing replaces.

    Raises:
        InputError: no space left, or no permission.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with disk_errors(path):
            yield partial
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
            _sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, kind: str, marker: str, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `path`, renamed to it when the block ends well and deleted when it does not.

    A folder of this `kind` is known by the file `marker` in it, and only such a one, or an empty one, is replaced.

    Raises:
        InputError: it exists and `overwrite` is false, what exists is of another kind, or its folder does not exist;
            no space left, or no permission.
    """
    if path.exists():
        empty = path.is_dir() and not any(path.iterdir())
        if not empty and not (path / marker).is_file():
            raise InputError(Code.EXISTS, f"{path}: exists and is not a {kind} (no {marker}); choose another name")
        if not empty and not overwrite:
            raise InputError(
                Code.EXISTS, f"{path}: exists already; go on with --resume, or replace it with --overwrite"
            )
    if not path.absolute().parent.is_dir():
        raise InputError(Code.ABSENT, f"{path}: its folder does not exist")
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with disk_errors(path):
            partial.mkdir()
            yield partial
            if path.exists():
                shutil.rmtree(path)
            partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace the file at once by this content, text as UTF-8."""
    with atomic_output(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def read_text(path: str | os.PathLike[str], most: int) -> str:
    """The text of a file of at most `most` bytes, in UTF-8.

    Raises:
        InputError: no such file, a larger one, or one that is no text.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            Code.ABSENT, f"{path}: {'a directory' if path.is_dir() else 'no such file'}, expected a text file"
        )
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise InputError(Code.TOO_LARGE, f"{path}: larger than {most:,} bytes, expected less")
        return content.decode()
    except OSError as error:
        raise InputError(Code.ENVIRONMENT, f"{path}: cannot be read, {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(Code.KIND, f"{path}: no text in UTF-8") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
