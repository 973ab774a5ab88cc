"""All key bindings of the browser, by the place that binds them.

Each has an id, so that a keymap can put other keys in its place: ``{"journal.retry": "ctrl+r"}``. Never bind ctrl+h,
ctrl+i, ctrl+j or ctrl+m, which terminals send for backspace, tab and enter; nor ctrl+s, ctrl+z, ctrl+a, ctrl+b or
ctrl+o, which terminals and multiplexers keep for themselves.
"""

from typing import Any

from textual.app import App
from textual.binding import Binding, InvalidBinding
from textual.keys import Keys, key_to_character

__all__ = ["BINDINGS", "KEY_IDS", "WRITES", "key_name", "key_names", "keys_shown"]

WRITES = frozenset({"retry", "discard", "edit", "forget", "ship", "undo", "compose"})
"""Actions that need ``--write``."""

_MODIFIERS = {"ctrl", "shift", "alt", "super", "meta", "hyper"}
_NAMED = {key.value.rpartition("+")[2] for key in Keys}


def _key(id: str, keys: str, action: str, name: str, sentence: str = "") -> Binding:  # Textual's word
    """Return a binding that the footer leaves out."""
    return Binding(keys, action, name, id=id, tooltip=sentence, show=False, system=not name)


def _shown(id: str, keys: str, action: str, name: str, sentence: str = "") -> Binding:
    """Return a binding that the footer names."""
    return Binding(keys, action, name, id=id, tooltip=sentence)


def _moves(place: str, row: str, *, first: str = "first", last: str = "last") -> tuple[Binding, ...]:
    return (
        _key(f"{place}.down", "j,down", "move(1)", "down", f"one {row} down; in a text, one line"),
        _key(f"{place}.up", "k,up", "move(-1)", "up", f"one {row} up"),
        _key(f"{place}.page_down", "ctrl+d,pagedown", "page(1)", "page down"),
        _key(f"{place}.page_up", "ctrl+u,pageup", "page(-1)", "page up"),
        _key(f"{place}.{first}", "g,home", "first", first, f"the first {row}; in a text, the first line"),
        _key(f"{place}.{last}", "G,end", "last", last, f"the last {row}; in a text, the last line"),
    )


BINDINGS: dict[str, tuple[Binding, ...]] = {
    "app": (
        _key("app.home", "0", "view('home')", "home", "what needs you, and what goes on by itself"),
        _key("app.journal", "1", "view('journal')", "journal", "its entries, newest first"),
        _key("app.profiles", "2", "view('profiles')", "profiles", "as shipped and as predicted"),
        _key("app.shipping", "3", "view('shipping')", "shipping", "its state, and what failed"),
        _shown("app.close", "escape", "close", "back", "close the prompt, the detail, the marks, the filter"),
        _key("app.jump", "colon", "jump", "go to", "an entry's number, a profile's id, or an action by name"),
        _key("app.palette", "ctrl+p", "command_palette", "palette", "every action, by name"),
        _key("app.undo", "U", "undo", "undo", "take back the last discard"),
        _key("app.zone", "u", "zone", "local time", "or UTC again"),
        _key("app.help", "question_mark", "help", "help", "all keys, and the words of a filter"),
        _shown("app.quit", "q", "back", "quit", "back, then quit; ctrl+c copies, or quits"),
        Binding("ctrl+c,ctrl+q", "quit", id="app.quit_now", show=False, system=True),
    ),
    "home": (
        _shown("home.enter", "enter", "enter", "look", "at the entries, or at shipping"),
        _shown("home.retry", "R", "retry", "retry", "send the entries of this line again"),
        _shown("home.discard", "D", "discard", "discard", "give up the entries of this line"),
        _key("home.edit", "ctrl+e", "edit", "edit", "replace the message of this line's only entry"),
        _shown("home.ship", "s", "ship", "ship", "send what can be sent now"),
        *_moves("home", "line"),
    ),
    "journal": (
        _shown("journal.filter", "slash", "filter", "filter", "in the command line's language"),
        _shown("journal.find", "f", "find", "find", "the next older entry that matches"),
        _key("journal.find_next", "n", "find_next(1)", "next found", "towards older entries"),
        _key("journal.find_previous", "N", "find_next(-1)", "previous found", "towards newer entries"),
        _shown("journal.problem", "e", "problem(1)", "next problem", "in doubt, rejected or held back"),
        _key("journal.problem_before", "E", "problem(-1)", "previous problem"),
        _shown("journal.enter", "enter", "enter", "detail", "the whole entry: payload, attempts, effect"),
        _key("journal.pane", "v", "pane", "detail pane", "show it, or hide it"),
        _shown("journal.profile", "p", "profile", "profile", "the entry's profile at that moment"),
        _shown("journal.retry", "R", "retry", "retry", "send again what is marked, or this entry"),
        _shown("journal.discard", "D", "discard", "discard", "give up what is marked, or this entry"),
        _key("journal.edit", "ctrl+e", "edit", "edit", "replace this entry's message"),
        _key("journal.compose", "c", "compose", "compose", "an operation on this entry's profile"),
        _key("journal.forget", "X", "forget", "forget", "erase this entry's profile, for ever"),
        _key("journal.ship", "s", "ship", "ship", "send what can be sent now"),
        _shown("journal.copy", "y", "copy", "copy", "what is marked, or this entry, as JSON"),
        _key("journal.copy_test", "Y", "copy_test", "copy test", "its profile's history as a Python test"),
        _key("journal.mark", "m,space", "mark", "mark", "or unmark"),
        _key("journal.mark_all", "a", "mark_all", "mark all", "that match the filter; escape unmarks all"),
        _key("journal.export", "x", "export", "export", "what is marked, or this entry, to a new file"),
        _key("journal.follow", "F", "follow", "follow", "what is recorded, or stop following"),
        _key("journal.tab_next", "l,right,right_square_bracket,tab", "tab(1)", "next tab"),
        _key("journal.tab_before", "h,left,left_square_bracket,shift+tab", "tab(-1)", "previous tab"),
        *_moves("journal", "entry", first="newest", last="oldest"),
    ),
    "profiles": (
        _shown(
            "profiles.search",
            "slash",
            "search",
            "search",
            "profiles by a part of their id or state=rejected, or properties",
        ),
        _key("profiles.find_next", "n", "find_next(1)", "next found", "property that was searched for"),
        _key("profiles.find_previous", "N", "find_next(-1)", "previous found"),
        _key(
            "profiles.sort",
            "o",
            "sort(1)",
            "sort",
            "by change, unsent, entries or id; or click a heading",
        ),
        _key("profiles.reverse", "O", "sort(0)", "reverse", "reverse the order of the list"),
        _shown("profiles.enter", "enter", "enter", "open", "the profile, the value, or the entry of a step"),
        _shown("profiles.step_back", "left_square_bracket,h,left", "step(-1)", "back", "one entry before"),
        _shown("profiles.step_on", "right_square_bracket,l,right", "step(1)", "on", "one entry later"),
        _shown(
            "profiles.same_back",
            "left_curly_bracket",
            "same(-1)",
            "same",
            "back to the previous entry that changed this property",
        ),
        _key(
            "profiles.same_on",
            "right_curly_bracket",
            "same(1)",
            "same",
            "on to the next entry that changed this property",
        ),
        _shown("profiles.blame", "b", "blame", "written by", "go to the entry; there p comes back"),
        _shown("profiles.copy", "y", "copy", "copy", "the state, the value or the entry as JSON"),
        _key("profiles.copy_test", "Y", "copy_test", "copy test", "the history so far as a Python test"),
        _key("profiles.compose", "c", "compose", "compose", "an operation on the profile"),
        _key("profiles.forget", "X", "forget", "forget", "erase the profile, for ever"),
        _shown("profiles.other", "tab", "other(1)", "next table", "list, properties, timeline"),
        _key("profiles.other_back", "shift+tab", "other(-1)", "previous table"),
        *_moves("profiles", "row"),
    ),
    "shipping": (
        _shown("shipping.enter", "enter", "enter", "entries", "of this failure, or of this attempt"),
        _shown("shipping.retry", "R", "retry", "retry", "send the entries of this failure again"),
        _shown("shipping.discard", "D", "discard", "discard", "give up the entries of this failure"),
        _shown("shipping.ship", "s", "ship", "ship", "send what can be sent now"),
        _shown("shipping.copy", "y", "copy", "copy", "the full words"),
        _shown(
            "shipping.other",
            "tab,l,right,right_square_bracket",
            "other(1)",
            "next table",
            "failures, attempts",
        ),
        _key("shipping.other_back", "shift+tab,h,left,left_square_bracket", "other(-1)", "previous table"),
        _key("shipping.sort", "o", "sort(1)", "sort", "by the next column; or click a heading"),
        _key("shipping.reverse", "O", "sort(0)", "reverse", "reverse the order"),
        *_moves("shipping", "row"),
    ),
    "prompt": (
        _key("prompt.close", "escape,ctrl+c", "close", "close", "without doing it"),
        _key("prompt.complete", "tab", "complete(1)", "complete", "the word, or the next one that fits"),
        _key("prompt.complete_back", "shift+tab", "complete(-1)", "the one before"),
        _key("prompt.earlier", "up", "recall(-1)", "earlier", "what was entered before"),
        _key("prompt.later", "down", "recall(1)", "later"),
    ),
    "confirm": (
        _shown("confirm.yes", "y", "answer('yes')", "yes"),
        _shown("confirm.retry", "R", "answer('retry')", "retry instead"),
        _shown("confirm.harmless", "H", "answer('harmless')", "retry the harmless only"),
        _shown("confirm.discard", "D", "answer('discard')", "discard instead"),
        _shown("confirm.settle", "S", "answer('settle')", "settle", "by what the profiles show"),
        _shown("confirm.no", "escape,n,q", "answer('no')", "leave it"),
        Binding("ctrl+c", "copy_or_leave", id="confirm.copy", show=False, system=True),
    ),
    "edit": (
        _shown("edit.save", "f2", "save", "send as edited"),
        _shown("edit.close", "escape,ctrl+c,ctrl+q", "close", "leave as it is"),
    ),
    "compose": (_shown("compose.close", "escape,ctrl+c", "close", "leave it"),),
    "progress": (
        _shown("progress.stop", "escape,q", "stop", "stop", "after the current request"),
        Binding("ctrl+c,ctrl+q", "app.quit", id="progress.quit", show=False, system=True),
    ),
    "jump": (
        _key("jump.close", "escape,ctrl+c", "close", "close", "without going anywhere"),
        _key("jump.down", "down,tab", "move(1)", "next line"),
        _key("jump.up", "up,shift+tab", "move(-1)", "line before"),
    ),
    "help": (
        _key("help.close", "escape,question_mark,q,ctrl+c", "close", "close", ""),
        *_moves("help", "line"),
    ),
}

KEY_IDS = {binding.id: binding for bindings in BINDINGS.values() for binding in bindings if binding.id}


def keys_shown(app: App[Any], binding: Binding) -> list[str]:
    """Return the keys of a binding, as the app shows them."""
    keys = (app.get_key_display(binding.with_key(key)) for key in binding.key.split(","))
    return list(dict.fromkeys(keys))


def key_name(app: App[Any], id: str) -> str:  # Textual's word
    """Return the first key of a binding, as the app shows it."""
    return keys_shown(app, KEY_IDS[id])[0]


def key_names(text: str) -> str:
    """Return keys that a person wrote as Textual names them.

    Raises:
        ValueError: One of them is not a key, or there are none.

    >>> key_names("?, ctrl+r,f5")
    'question_mark,ctrl+r,f5'
    """
    if not text.strip():
        raise ValueError("no key is given")
    try:
        names = [binding.key for binding in Binding.make_bindings([Binding(text, "")])]
    except InvalidBinding:
        names = [""]
    for name in names:
        *modifiers, key = name.split("+")
        known = key in _NAMED or key_to_character(key) is not None
        if not known or not _MODIFIERS.issuperset(modifiers):
            raise ValueError(f"{name or text!r} is not a key; write r, R, f5, ctrl+r, slash")
    return ",".join(names)
