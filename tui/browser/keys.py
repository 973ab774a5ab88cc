"""Every key of the browser, in one table.

A row has an id, so that a keymap can put another key in its place: ``{"journal.retry": "ctrl+r"}``. What footers,
help pages and the palette say about keys comes from here. Never ctrl+h, ctrl+i, ctrl+j or ctrl+m, which terminals
send for backspace, tab and enter; nor ctrl+s, ctrl+z, ctrl+a, ctrl+b, ctrl+o, which they, and what runs in them,
keep for themselves.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key

__all__ = ["KEYS", "Key", "bindings", "key_names", "keys_of", "name_of", "spelled", "use"]


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table.

    Attributes:
        id: What a keymap calls it.
        keys: Textual's names, separated by commas; the first is the one that is shown.
        action: What it does, a method ``action_…`` of the widget that binds it, or of one around that.
        description: A word or two for the footer.
        where: The widget that binds it: ``app``, ``journal``, ``prompt`` …
        help: A sentence for the help page; empty to leave it to another row.
        writes: Whether it needs ``--write``.
        footer: Whether the footer names it.
    """

    id: str
    keys: str
    action: str
    description: str
    where: str
    help: str = ""
    writes: bool = False
    footer: bool = False


KEYS: tuple[Key, ...] = (
    # --- everywhere
    Key("app.journal", "1", "view('journal')", "journal", "app", "the journal: its entries, newest first"),
    Key("app.profiles", "2", "view('profiles')", "profiles", "app", "profiles, as shipped and as predicted"),
    Key("app.shipping", "3", "view('shipping')", "shipping", "app", "how shipping stands, and what failed"),
    Key(
        "app.close",
        "escape",
        "close",
        "back",
        "app",
        "close the innermost thing: prompt, detail, then filter",
    ),
    Key("app.palette", "colon,ctrl+p", "command_palette", "palette", "app", "everything by name"),
    Key("app.help", "question_mark", "help", "help", "app", "this page", footer=True),
    Key("app.quit", "q", "back", "quit", "app", "back, and at last quit", footer=True),
    Key("app.quit_now", "ctrl+c,ctrl+q", "quit", "quit", "app", "quit at once"),
    # --- the journal
    Key(
        "journal.filter",
        "slash",
        "filter",
        "filter",
        "journal",
        "filter, in the command line's language",
        footer=True,
    ),
    Key(
        "journal.find", "f", "find", "find", "journal", "find the next older entry that matches", footer=True
    ),
    Key("journal.find_next", "n", "find_next(1)", "next found", "journal", "find on, towards older entries"),
    Key(
        "journal.find_previous",
        "N",
        "find_next(-1)",
        "previous found",
        "journal",
        "find on, towards newer ones",
    ),
    Key(
        "journal.problem",
        "e",
        "problem(1)",
        "next problem",
        "journal",
        "next entry in doubt, rejected or held back",
        footer=True,
    ),
    Key("journal.problem_before", "E", "problem(-1)", "previous problem", "journal", "previous problem"),
    Key(
        "journal.enter",
        "enter",
        "enter",
        "detail",
        "journal",
        "the entry whole: payload, attempts, effect",
        footer=True,
    ),
    Key("journal.profile", "p", "profile", "profile", "journal", "its profile at that moment", footer=True),
    Key(
        "journal.retry",
        "R",
        "retry",
        "retry",
        "journal",
        "send again: what is marked, or this entry",
        writes=True,
        footer=True,
    ),
    Key(
        "journal.discard",
        "D",
        "discard",
        "discard",
        "journal",
        "give up: what is marked, or this entry",
        writes=True,
        footer=True,
    ),
    Key("journal.edit", "ctrl+e", "edit", "edit", "journal", "give this entry another message", writes=True),
    Key(
        "journal.forget",
        "X",
        "forget",
        "forget",
        "journal",
        "erase this entry's profile from the journal, for ever",
        writes=True,
    ),
    Key("journal.ship", "s", "ship", "ship", "journal", "send what may go now", writes=True),
    Key("journal.copy", "y", "copy", "copy", "journal", "copy the entry as JSON", footer=True),
    Key(
        "journal.copy_test",
        "Y",
        "copy_test",
        "copy test",
        "journal",
        "copy its profile's history as a Python test",
    ),
    Key("journal.mark", "m,space", "mark", "mark", "journal", "mark, or take the mark away"),
    Key("journal.follow", "F", "follow", "follow", "journal", "follow what is recorded, or stop following"),
    Key("journal.tab_next", "l,right,right_square_bracket,tab", "tab(1)", "next tab", "journal", "next tab"),
    Key(
        "journal.tab_before",
        "h,left,left_square_bracket,shift+tab",
        "tab(-1)",
        "previous tab",
        "journal",
        "previous tab",
    ),
    Key("journal.down", "j,down", "move(1)", "down", "journal", "one entry down; in the detail, one line"),
    Key("journal.up", "k,up", "move(-1)", "up", "journal", "one entry up"),
    Key("journal.page_down", "ctrl+d,pagedown", "page(1)", "page down", "journal", "a page down"),
    Key("journal.page_up", "ctrl+u,pageup", "page(-1)", "page up", "journal", "a page up"),
    Key(
        "journal.newest",
        "g,home",
        "first",
        "newest",
        "journal",
        "the newest entry; in the detail, the first line",
    ),
    Key(
        "journal.oldest",
        "G,end",
        "last",
        "oldest",
        "journal",
        "the oldest entry; in the detail, the last line",
    ),
    # --- profiles
    Key(
        "profiles.search",
        "slash",
        "search",
        "search",
        "profiles",
        "show the profiles whose id holds a text",
        footer=True,
    ),
    Key(
        "profiles.enter",
        "enter",
        "enter",
        "open",
        "profiles",
        "into the profile; a property's value whole; the entry of a step",
        footer=True,
    ),
    Key(
        "profiles.step_back",
        "left_square_bracket,h,left",
        "step(-1)",
        "back",
        "profiles",
        "the moment one entry before",
        footer=True,
    ),
    Key(
        "profiles.step_on",
        "right_square_bracket,l,right",
        "step(1)",
        "on",
        "profiles",
        "the moment one entry later",
        footer=True,
    ),
    Key(
        "profiles.same_back",
        "left_curly_bracket",
        "same(-1)",
        "same",
        "profiles",
        "back to the entry that changed this property before",
        footer=True,
    ),
    Key(
        "profiles.same_on",
        "right_curly_bracket",
        "same(1)",
        "same",
        "profiles",
        "on to the entry that changed this property next",
    ),
    Key(
        "profiles.blame",
        "b",
        "blame",
        "written by",
        "profiles",
        "go to the entry that wrote this property; there p comes back",
        footer=True,
    ),
    Key(
        "profiles.copy",
        "y",
        "copy",
        "copy",
        "profiles",
        "copy as JSON: the state, the value or the entry",
        footer=True,
    ),
    Key(
        "profiles.copy_test",
        "Y",
        "copy_test",
        "copy test",
        "profiles",
        "copy the history up to this moment as a Python test",
    ),
    Key(
        "profiles.forget",
        "X",
        "forget",
        "forget",
        "profiles",
        "erase the profile from the journal, for ever",
        writes=True,
    ),
    Key(
        "profiles.other",
        "tab",
        "other(1)",
        "next table",
        "profiles",
        "between list, properties and timeline",
        footer=True,
    ),
    Key("profiles.other_back", "shift+tab", "other(-1)", "next table", "profiles"),
    Key("profiles.down", "j,down", "move(1)", "down", "profiles", "one row down"),
    Key("profiles.up", "k,up", "move(-1)", "up", "profiles", "one row up"),
    Key("profiles.page_down", "ctrl+d,pagedown", "page(1)", "page down", "profiles", "a page down"),
    Key("profiles.page_up", "ctrl+u,pageup", "page(-1)", "page up", "profiles", "a page up"),
    Key("profiles.first", "g,home", "first", "first", "profiles", "the first row: the newest entry, or now"),
    Key("profiles.last", "G,end", "last", "last", "profiles", "the last row"),
    # --- shipping
    Key(
        "shipping.enter",
        "enter",
        "enter",
        "entries",
        "shipping",
        "the entries of this failure, or of this attempt",
        footer=True,
    ),
    Key(
        "shipping.retry",
        "R",
        "retry",
        "retry",
        "shipping",
        "send the entries of this failure again",
        writes=True,
        footer=True,
    ),
    Key(
        "shipping.discard",
        "D",
        "discard",
        "discard",
        "shipping",
        "give the entries of this failure up",
        writes=True,
        footer=True,
    ),
    Key("shipping.ship", "s", "ship", "ship", "shipping", "send what may go now", writes=True, footer=True),
    Key("shipping.copy", "y", "copy", "copy", "shipping", "copy the words whole", footer=True),
    Key(
        "shipping.other",
        "tab,l,right,right_square_bracket",
        "other(1)",
        "next table",
        "shipping",
        "between failures and attempts",
        footer=True,
    ),
    Key("shipping.other_back", "shift+tab,h,left,left_square_bracket", "other(-1)", "next table", "shipping"),
    Key("shipping.down", "j,down", "move(1)", "down", "shipping", "one row down"),
    Key("shipping.up", "k,up", "move(-1)", "up", "shipping", "one row up"),
    Key("shipping.page_down", "ctrl+d,pagedown", "page(1)", "page down", "shipping", "a page down"),
    Key("shipping.page_up", "ctrl+u,pageup", "page(-1)", "page up", "shipping", "a page up"),
    Key("shipping.first", "g,home", "first", "first", "shipping", "the first row"),
    Key("shipping.last", "G,end", "last", "last", "shipping", "the last row"),
    # --- prompts and questions
    Key("prompt.close", "escape", "close", "close", "prompt", "close without doing it"),
    Key("prompt.stay", "tab,shift+tab", "stay", "", "prompt"),
    Key("confirm.yes", "y,enter", "answer(True)", "yes", "confirm", "do it"),
    Key("confirm.no", "n,escape,q", "answer(False)", "no", "confirm", "do nothing"),
    Key("edit.save", "f2", "save", "send as edited", "edit", "keep what was written, and send it"),
    Key("edit.close", "escape", "close", "leave as it is", "edit", "close without doing it"),
    Key("help.close", "escape,q,question_mark", "close", "close", "help", "close this page"),
    Key(
        "progress.stop", "escape,q", "stop", "stop", "progress", "stop once the request under way is answered"
    ),
)

_SPELLED = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "pagedown": "pgdn",
    "pageup": "pgup",
}
_ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


_keymap: dict[str, str] = {}  # of the browser that runs: there is one terminal, and one browser in it


def use(keymap: Mapping[str, str]) -> None:
    """Name keys as this keymap has them, from now on."""
    _keymap.clear()
    _keymap.update(keymap)


def keys_of(where: str) -> tuple[Key, ...]:
    """The rows of a place, in the table's order, with the keys as the keymap has them."""
    return tuple(
        replace(key, keys=_keymap[key.id]) if key.id in _keymap else key for key in KEYS if key.where == where
    )


def name_of(id: str, *, plain: bool = False) -> str:
    """The first key of a row, as a person reads it.

    >>> name_of("journal.filter")
    '/'
    """
    row = next(key for key in KEYS if key.id == id)
    return spelled(_keymap.get(id, row.keys).split(",")[:1], plain=plain)


def key_names(text: str) -> str:
    """Keys that a person wrote, as Textual calls them.

    Raises:
        ValueError: There are none, or one of them is no key, in words.

    >>> key_names("?, ctrl+r,f5")
    'question_mark,ctrl+r,f5'
    """
    names = [part.strip() or part for part in text.split(",")]
    if not text.strip():
        raise ValueError("no key is given")
    return ",".join(map(_key_name, names))


def _key_name(text: str) -> str:
    *modifiers, name = text.split("+") if len(text) > 1 else [text]
    known = {key.value.rpartition("+")[2] for key in Keys}
    if len(name) == 1 and name.isprintable():
        name = _character_to_key(name)
    elif name not in known and not _is_letter(name):
        raise ValueError(f"{text!r} is no key; write r, R, f5, ctrl+r, slash")
    if not set(modifiers) <= {"ctrl", "shift", "alt", "super", "meta", "hyper"}:
        raise ValueError(f"{text!r} is no key; write r, R, f5, ctrl+r, slash")
    return "+".join((*modifiers, name))


def _is_letter(name: str) -> bool:
    """Whether Unicode has a character of this name: that is how Textual calls its key."""
    try:
        unicodedata.lookup(name.replace("_", " ").upper())
    except KeyError:
        return name in KEY_NAME_REPLACEMENTS.values()
    return True


def bindings(where: str) -> list[Binding]:
    """A place's rows as Textual takes them, for ``BINDINGS``; an app's keymap is put over them by Textual."""
    return [
        Binding(
            key.keys,
            key.action,
            key.description,
            id=key.id,
            show=key.footer,
            priority=key.id == "app.quit_now",
        )
        for key in KEYS
        if key.where == where
    ]


def spelled(keys: str | Iterable[str], *, plain: bool = False) -> str:
    """Keys as a person reads them.

    >>> spelled("slash"), spelled("j,down")
    ('/', 'j ↓')
    """
    names = keys.split(",") if isinstance(keys, str) else keys
    arrows = {} if plain else _ARROWS
    return " ".join({**_SPELLED, **arrows}.get(name, name) for name in names)
