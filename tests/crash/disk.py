"""A folder of a disk that may lose its power: what was asked of it, and what of that may be left.

Made from system calls. The rules are those that POSIX gives and no file system's own kindness: a sync makes
durable what was written to that file before it began; nothing else is certain. What was written since the
last sync may be there or not, sector by sector, in any order; a file's length may be any that it had since;
where it grew without its data there may be zeros or anything. Names (made, changed, taken away) are durable
once the folder is synced.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.crash.trace import Call

_SECTORS = (512, 4096)
_SURVIVAL = (0.0, 0.1, 0.5, 0.9, 1.0)
_WRITES = {"write", "pwrite64"}
SYNCS = {"fsync", "fdatasync"}
_RENAMES = {"rename", "renameat", "renameat2", "unlink", "unlinkat"}
_UNKNOWN_BY_PATH = {"truncate", "link", "linkat", "creat", "openat2"}


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place."""

    offset: int
    data: bytes

    def put(self, image: bytearray, filler: bytes = b"\0") -> None:
        _grow(image, self.offset, filler)
        image[self.offset : self.offset + len(self.data)] = self.data

    def length(self, before: int) -> int:
        return max(before, self.offset + len(self.data))

    def sectors(self, size: int) -> Iterator["Write"]:
        """Itself, cut at the sectors' borders."""
        end = self.offset + len(self.data)
        first = self.offset // size * size + size
        for start, stop in itertools.pairwise([self.offset, *range(first, end, size), end]):
            yield Write(start, self.data[start - self.offset : stop - self.offset])


@dataclass(frozen=True, slots=True)
class Resize:
    """A new length."""

    size: int

    def put(self, image: bytearray, filler: bytes = b"\0") -> None:
        del image[self.size :]
        _grow(image, self.size, filler)

    def length(self, _before: int) -> int:
        return self.size


@dataclass(eq=False, slots=True)
class File:
    """A file, whatever its name: as the system shows it, as it is for certain, and what lies between."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[Write | Resize] = field(default_factory=list)
    synced: int = 0  # how many changes are durable

    def change(self, change: Write | Resize) -> None:
        change.put(self.content)
        self.unsynced.append(change)

    @property
    def changes(self) -> int:
        return self.synced + len(self.unsynced)

    def sync(self, until: int) -> None:
        """What was changed before a sync began is durable when it ends."""
        done, self.unsynced = self.unsynced[: until - self.synced], self.unsynced[until - self.synced :]
        for change in done:
            change.put(self.durable)
        self.synced += len(done)

    def after_power_loss(self, chance: Random, sector: int, filler: bytes) -> bytes:
        """What may be left of it."""
        if not self.unsynced:
            return bytes(self.durable)
        survival = chance.choice(_SURVIVAL)
        # A sector holds what it held at one moment since the sync: the first so many of its writes.
        writes: Counter[int] = Counter()
        for change in self.unsynced:
            if isinstance(change, Write):
                writes.update(piece.offset // sector for piece in change.sectors(sector))
        left = {
            place: count if chance.random() < survival else chance.randrange(count)
            for place, count in sorted(writes.items())
        }
        # The length as it was after the first so many changes; cutting takes away what was beyond.
        resized = len(self.unsynced) if chance.random() < survival else chance.randrange(len(self.unsynced))
        image, length = bytearray(self.durable), len(self.durable)
        for place, change in enumerate(self.unsynced):
            if place < resized:
                length = change.length(length)
            if isinstance(change, Resize):
                if place < resized:
                    change.put(image, filler)
                continue
            for piece in change.sectors(sector):
                if left[piece.offset // sector] > 0:
                    left[piece.offset // sector] -= 1
                    piece.put(image, filler)
        Resize(length).put(image, filler)
        return bytes(image)


Names = dict[str, File]


class Disk:
    """One folder, fed with system calls.

    Args:
        folder: Calls that concern files elsewhere are not ours.
        volatile: How names end that need no model, as they are made anew whenever they are missing.
        honest: Whether a sync is one; some disks only say so.
    """

    def __init__(self, folder: Path, *, volatile: tuple[str, ...] = (), honest: bool = True) -> None:
        self._folder = folder
        self._volatile = volatile
        self._honest = honest
        self._open: dict[int, File | None] = {}  # by descriptor; None is the folder itself
        self._place: dict[int, int] = {}  # where `write` writes; SQLite seeks before each read and write
        self._appending: set[int] = set()  # descriptors whose `write` writes at the end
        self._names: Names = {}
        self._durable_names: Names = {}
        # Changes of names since the folder's last sync; a rename is one change of two names.
        self._unsynced: list[dict[str, File | None]] = []
        self._named = 0
        self._begun: dict[int, tuple[File | None, int]] = {}  # syncs under way, by the identity of the call
        self.writes: dict[str, list[int]] = defaultdict(list)  # by name, where was written

    def take(self, phase: str, call: Call) -> bool:
        """One call; whether it changed anything, or made anything certain."""
        if call.name in SYNCS and _descriptor(call) in self._open:
            return self._sync(phase, call)
        if phase == "begins" or call.result is None or call.result < 0:
            return False
        if call.name in {"open", "openat"}:
            return self._opened(call)
        if call.name in _RENAMES:
            return self._renamed(call)
        if call.name == "close":
            self._open.pop(_descriptor(call), None)
        elif self._is_beyond(call):
            raise NotImplementedError(call.name)
        elif _descriptor(call) in self._open:
            return self._changed(call)
        return False

    def _is_beyond(self, call: Call) -> bool:
        """Whether it may change our files in a way that nothing here models."""
        if call.name == "mmap":
            _, _, protection, flags, descriptor, *_ = map(str, call.arguments)
            return "PROT_WRITE" in protection and "MAP_SHARED" in flags and int(descriptor) in self._open
        by_path = call.name in _UNKNOWN_BY_PATH and any(map(self._name, _paths(call)))
        return by_path or call.name == "sync"

    def files(self) -> dict[str, bytes]:
        """As the system shows them: what a killed process leaves."""
        return {name: bytes(file.content) for name, file in self._names.items()}

    def certain(self) -> dict[str, bytes]:
        """What is left for certain."""
        return {name: bytes(file.durable) for name, file in self._durable_names.items()}

    def after_power_loss(self, chance: Random) -> dict[str, bytes]:
        """What may be left."""
        sector = chance.choice(_SECTORS)
        filler = chance.choice((b"\0", chance.randbytes(1021)))
        names, survival = dict(self._durable_names), chance.choice(_SURVIVAL)
        for change in self._unsynced:
            if chance.random() < survival:
                _rename(names, change)
        return {name: file.after_power_loss(chance, sector, filler) for name, file in names.items()}

    @property
    def settled(self) -> bool:
        """Whether all of it is certain."""
        return not self._unsynced and not any(file.unsynced for file in self._names.values())

    @property
    def certainty(self) -> tuple[int, ...]:
        """Differs whenever `certain` does."""
        return self._named, *(file.synced for file in self._durable_names.values())

    def is_named(self, call: Call, name: str) -> bool:
        """Whether a call by descriptor is about the file of this name."""
        file = self._open.get(_descriptor(call))
        return file is not None and file is self._names.get(name)

    # --- calls

    def _name(self, path: bytes) -> str | None:
        """The name of a path in our folder; None for any other."""
        where = Path(path.decode())
        return where.name if where.parent == self._folder else None

    def _opened(self, call: Call) -> bool:
        path = _paths(call)[0]
        descriptor = call.result or 0
        if Path(path.decode()) == self._folder:
            self._open[descriptor] = None
            return False
        name = self._name(path)
        if name is None or name.endswith(self._volatile):
            self._open.pop(descriptor, None)
            return False
        flags = next(str(flag) for flag in call.arguments if str(flag).startswith("O_"))
        if made := name not in self._names:
            assert "O_CREAT" in flags, name
            self._name_anew({name: File()})
        file = self._open[descriptor] = self._names[name]
        self._place[descriptor] = 0
        (self._appending.add if "O_APPEND" in flags else self._appending.discard)(descriptor)
        if "O_TRUNC" in flags and file.content:
            file.change(Resize(0))
            return True
        return made

    def _renamed(self, call: Call) -> bool:
        names = [self._name(path) for path in _paths(call)]
        if not any(names) or str(names[0]).endswith(self._volatile):
            return False
        assert all(names), "a file left the folder, or came into it"
        old, *new = map(str, names)
        self._name_anew({old: None, **dict.fromkeys(new, self._names[old])})
        return True

    def _name_anew(self, change: dict[str, File | None]) -> None:
        _rename(self._names, change)
        self._unsynced.append(change)

    def _changed(self, call: Call) -> bool:
        """A call by descriptor; one that nothing here models raises."""
        descriptor = _descriptor(call)
        file = self._open[descriptor]
        if call.name == "lseek":
            self._place[descriptor] = call.result or 0
            return False
        assert file is not None, f"{call.name} on a folder"
        if call.name in _WRITES:
            write = self._written(call)
            file.change(write)
            for name, named in self._names.items():
                if named is file:
                    self.writes[name].append(write.offset)
        elif call.name == "ftruncate":
            file.change(Resize(int(call.arguments[1])))
        else:
            raise NotImplementedError(call.name)
        return True

    def _written(self, call: Call) -> Write:
        descriptor, data = _descriptor(call), call.arguments[1]
        assert isinstance(data, bytes)
        assert len(data) == int(call.arguments[2]), "the log has not all of it"
        data = data[: call.result]
        if call.name == "pwrite64":
            return Write(int(call.arguments[3]), data)
        if descriptor in self._appending:
            file = self._open[descriptor]
            assert file is not None
            return Write(len(file.content), data)
        write = Write(self._place[descriptor], data)
        self._place[descriptor] += len(data)
        return write

    def _sync(self, phase: str, call: Call) -> bool:
        file = self._open[_descriptor(call)]
        if phase == "begins":
            until = file.changes if file is not None else self._named + len(self._unsynced)
            self._begun[id(call)] = file, until
            return False
        file, until = self._begun.pop(id(call))
        if call.result != 0 or not self._honest:
            return False
        before = self.certainty
        if file is not None:
            file.sync(until)
        else:
            done = until - self._named
            for change in self._unsynced[:done]:
                _rename(self._durable_names, change)
            del self._unsynced[:done]
            self._named = until
        return self.certainty != before


def _grow(image: bytearray, size: int, filler: bytes) -> None:
    missing = size - len(image)
    if missing > 0:
        image.extend((filler * (missing // len(filler) + 1))[:missing])


def _rename(names: Names, change: dict[str, File | None]) -> None:
    for name, file in change.items():
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _descriptor(call: Call) -> int:
    first = call.arguments[0] if call.arguments else ""
    return int(first) if isinstance(first, str) and first.isdecimal() else -1


def _paths(call: Call) -> list[bytes]:
    return [argument for argument in call.arguments if isinstance(argument, bytes)]
