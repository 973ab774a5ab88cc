"""Files of a fleet: paths, and URLs such as ``s3://fleet/`` where fsspec is installed.

Credentials come from the environment or from fsspec's own configuration, as each of its file systems documents.
"""

import gzip
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from recorder.model.errors import RestanteError

__all__ = [
    "Block",
    "FileUnavailable",
    "absolute",
    "blocks_of",
    "files_at",
    "is_url",
    "lines_of",
    "lines_of_block",
    "local_copy",
]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:// is a drive
_PATTERN = re.compile(r"[*?\[]")


class FileUnavailable(RestanteError):
    """A file, or what is needed to read it, is not there."""


def is_url(location: str) -> bool:
    """Return True for a URL; all else is a path.

    >>> is_url("s3://fleet/till-1.db"), is_url("/var/lib/till-1.db")
    (True, False)
    """
    return _URL.match(location) is not None


def absolute(file: str, folder: str) -> str:
    """Return a URL as it is, and a path as one that begins at a folder.

    >>> absolute("tills/till-1.db", "/srv"), absolute("/tills/till-1.db", "/srv"), absolute("s3://fleet/", "/srv")
    ('/srv/tills/till-1.db', '/tills/till-1.db', 's3://fleet/')
    """
    return file if is_url(file) else str(Path(folder, file))


def files_at(location: str, endings: tuple[str, ...]) -> list[str]:
    """Return the files at a URL, sorted: itself, those that a pattern fits, or those in a folder with these endings.

    Args:
        location: Such as ``s3://fleet/till-1.db``, ``s3://fleet/*/till-?.db`` or ``s3://fleet/``.
        endings: Of the names of files that are taken from a folder, however deep.

    Raises:
        FileUnavailable: fsspec or one of its file systems is not installed, or nothing is there.
    """
    if location.endswith(endings) and not _PATTERN.search(location):
        return [location]
    system, path = _opened(location)
    with _reading(location):
        names = system.glob(path) if _PATTERN.search(path) else system.find(path)
    found = sorted(system.unstrip_protocol(name) for name in names if name.endswith(endings))
    if not found:
        raise FileUnavailable(f"{location} has no file that ends with {' or '.join(endings)}")
    return found


@contextmanager
def local_copy(location: str) -> Iterator[Path]:
    """Yield a path on this machine: of the file itself, or of a copy of a URL's that is deleted afterwards.

    Raises:
        FileUnavailable: It cannot be read, or there is no space for it.
    """
    if not is_url(location):
        yield Path(location)
        return
    system, path = _opened(location)
    with tempfile.TemporaryDirectory(prefix="restante-") as folder:
        copy = Path(folder) / Path(path).name
        with _reading(location):
            _check_space(location, system.size(path), folder)
            system.get_file(path, str(copy))
        yield copy


def lines_of(location: str) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked where its name ends with ``.gz``, without reading it whole.

    Raises:
        FileUnavailable: It cannot be read.
    """
    with _reading(location), _binary(location, streamed=True) as file:
        yield from gzip.GzipFile(fileobj=file) if location.endswith(".gz") else file


class Block(NamedTuple):
    """The lines of a file that begin after one byte and not after another; with the first byte, the first line, too.

    Attributes:
        location: Path or URL.
        begin: The first of these bytes.
        length: How many bytes are between; None for the whole file.
    """

    location: str
    begin: int = 0
    length: int | None = None


def blocks_of(location: str, size: int) -> list[Block]:
    """Return blocks of about so many bytes that together have each line once.

    A packed file is one block, and so is a file that a web server gives only from its beginning.

    Raises:
        FileUnavailable: It cannot be read.
    """
    if location.endswith(".gz"):
        return [Block(location)]
    with _reading(location), _binary(location) as file:
        try:
            length = file.seek(0, io.SEEK_END)
            if length > size:
                file.seek(size)
                file.read(1)
        except (ValueError, TypeError):
            return [Block(location)]
    return [Block(location, begin, size) for begin in range(0, length, size)] or [Block(location)]


def lines_of_block(block: Block) -> Iterator[bytes]:
    """Yield the lines of a block.

    Raises:
        FileUnavailable: It cannot be read.
    """
    if block.length is None:
        yield from lines_of(block.location)
        return
    from fsspec.utils import read_block  # noqa: PLC0415  # an extra: see _opened

    with _reading(block.location), _binary(block.location) as file:
        content = read_block(file, block.begin, block.length, b"\n")
    yield from io.BytesIO(content)


@contextmanager
def _reading(location: str) -> Iterator[None]:
    try:
        yield
    except RestanteError:
        raise
    except Exception as error:  # each file system raises errors of its own
        plain = isinstance(error, OSError) and error.strerror
        raise FileUnavailable(
            f"{location} cannot be read{f': {plain}' if plain else f' ({type(error).__name__}): {error}'}"
        ) from error


def _binary(location: str, *, streamed: bool = False) -> Any:
    if not is_url(location):
        return Path(location).open("rb")
    system, path = _opened(location)
    if streamed and location.startswith(("http:", "https:")):  # not every web server gives parts of a file
        return io.BufferedReader(system.open(path, "rb", block_size=0))
    return system.open(path, "rb")


def _opened(location: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415  # an extra, and plain paths do without it
    except ImportError as error:
        raise FileUnavailable(
            f"{location} is a URL, which needs fsspec",
            hint="pip install 'restante[fleet]', or copy the files to this machine and give their folder.",
        ) from error
    try:
        system, path = url_to_fs(location)
    except (ImportError, ValueError) as error:  # such as s3fs, or a protocol that nobody knows
        raise FileUnavailable(f"{location} cannot be opened: {error}") from error
    return system, path


def _check_space(location: str, size: int | None, folder: str) -> None:
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise FileUnavailable(
            f"{location} has {size:,} bytes, and {folder} has space for {free:,}",
            hint="Name a larger folder for temporary files with TMPDIR.",
        )
