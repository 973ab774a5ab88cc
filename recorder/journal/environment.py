"""The system around a journal: file systems, free space, locks.

The journal itself is never opened here: closing any descriptor of it would cancel SQLite's locks in this process.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "FileSystem",
    "file_system",
    "free_bytes",
    "holders",
    "is_mount",
    "other_owners",
    "readers",
    "ships",
    "writable",
]

_MOUNTS = Path("/proc/self/mountinfo")
_LOCKS = Path("/proc/locks")
_OURS = "restante"
_READ_MARKS = range(123, 128)

_OCTAL = {r"\040": " ", r"\011": "\t", r"\012": "\n", r"\134": "\\"}


class FileSystem(NamedTuple):
    """File system of a folder.

    Attributes:
        kind: As the system names it, such as ``ext4``; empty where it does not say.
        read_only: Whether nothing can be written.
        mounted_at: The folder under which it begins.
        device: Its numbers, as the kernel's list of locks has them: those of `os.stat` differ on btrfs and overlay.
    """

    kind: str
    read_only: bool
    mounted_at: str
    device: str = ""


def file_system(folder: Path, mounts: Path = _MOUNTS) -> FileSystem:
    """Return the file system of a folder; without a name on other systems than Linux.

    >>> file_system(Path("/nowhere"), mounts=Path("/nowhere"))
    FileSystem(kind='', read_only=False, mounted_at='', device='')
    """
    found = FileSystem("", _read_only(folder), "")
    for mounted in _mounted(mounts):
        inside = folder == Path(mounted.mounted_at) or Path(mounted.mounted_at) in folder.parents
        if inside and len(mounted.mounted_at) >= len(found.mounted_at):  # a later mount hides an earlier one
            found = mounted
    return found


def is_mount(file: Path, mounts: Path = _MOUNTS) -> bool:
    """Return True if a file is mounted by itself, as containers do; False where the system does not say.

    >>> is_mount(Path("/nowhere/kiosk.db"))
    False
    """
    place = str(file)
    for code, letter in reversed(_OCTAL.items()):  # the backslash first
        place = place.replace(letter, code)
    return any(line.split(" ", 5)[4] == place for line in _mount_lines(mounts))


def _mount_lines(mounts: Path) -> list[str]:
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [line for line in text.split("\n") if line]  # not splitlines: a name may have other ends of lines


def _mounted(mounts: Path) -> Iterator[FileSystem]:
    for line in _mount_lines(mounts):
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        place, options = fields[4], fields[5].split(",") + rest[-1].split(",")
        for code, letter in _OCTAL.items():
            place = place.replace(code, letter)
        device = ":".join(f"{int(number):02x}" for number in fields[2].split(":"))
        yield FileSystem(rest[0], "ro" in options, place, device)


def _read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):
        return False


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes this account may still write there; None if the system does not say."""
    try:
        status = os.statvfs(folder)
    except (AttributeError, OSError):
        return None
    return status.f_bavail * status.f_frsize if status.f_blocks else None


def allowed(file: Path, how: int) -> bool:
    """Return True if this account, as it acts now, may use a file in these ways, as for `os.access`."""
    return os.access(file, how, effective_ids=os.access in os.supports_effective_ids)


def writable(folder: Path) -> bool:
    """Return True if this account may make files there."""
    return allowed(folder, os.W_OK | os.X_OK)


def enterable(folder: Path) -> bool:
    """Return True if this account may use files there; also where there is no such folder."""
    return not folder.exists() or allowed(folder, os.X_OK)


def holders(side_file: Path, locks: Path = _LOCKS, mounts: Path = _MOUNTS) -> tuple[int, ...] | None:
    """Return the processes that hold a lock on a side file; None if the system does not say.

    A process of another container has the number 0 or -1 here.
    """
    found = _locks(side_file, locks, mounts)
    return None if found is None else tuple(sorted({pid for kind, pid, _ in found if kind == "FLOCK"}))


def ships(lock: Path, pid: int | None) -> bool:
    """Return True if a shipper is at work, or may be.

    Args:
        lock: The shippers' lock file. Where the system does not say who holds it, it may be the process that came
            last, as long as that lives.
        pid: Of the process that came last.
    """
    found = holders(lock) if lock.exists() else ()
    return _alive(pid) if found is None else bool(found)


def _alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another account's
        return True
    return True


def readers(index: Path, locks: Path = _LOCKS) -> tuple[int, ...] | None:
    """Return the processes that are reading a database, by the index of its log; None as for `holders`.

    SQLite marks a read that is under way by a lock on one of five bytes of ``-shm``.
    """
    found = _locks(index, locks, _MOUNTS)
    if found is None:
        return None
    return tuple(sorted({pid for kind, pid, byte in found if kind == "POSIX" and byte in _READ_MARKS}))


def _locks(file: Path, locks: Path, mounts: Path) -> list[tuple[str, int, int]] | None:
    """Return kind, process and first byte of each lock on a file."""
    try:
        status = file.stat()
        lines = locks.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return [] if locks.exists() else None
    except OSError:
        return None
    found = []
    for line in lines:
        match line.split():
            case [_, kind, _, _, pid, place, first, _] if place.endswith(f":{status.st_ino}"):
                found.append((place.rpartition(":")[0], (kind, int(pid), int(first))))
    devices = {f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"}
    if any(device not in devices for device, _ in found):
        # Only then, as a host may have a thousand mounts, and this is asked each second.
        devices.add(file_system(file.parent, mounts).device)
    return [lock for device, lock in found if device in devices]


def other_owners(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Return, by package name, the other distributions that install a package of that name."""
    from importlib.metadata import distributions  # takes long to import

    # packages_distributions() would parse the metadata of all, and take ten times as long.
    found: dict[str, set[str]] = {}
    for each in distributions():
        for name in _top_level(each.read_text("top_level.txt"), each.read_text("RECORD")) & {*names}:
            found.setdefault(name, set()).add(each.metadata["Name"])
    return {name: sorted(found[name] - {_OURS}) for name in names if found.get(name, set()) - {_OURS}}


def _top_level(declared: str | None, files: str | None) -> set[str]:
    """Return packages and modules of a distribution, by its list of them, or by that of its files."""
    if declared:
        return set(declared.split())
    paths = (line.partition(",")[0] for line in (files or "").splitlines())
    return {path.partition("/")[0].removesuffix(".py") for path in paths if path.endswith(".py")}
