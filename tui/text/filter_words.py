"""Words of a filter in the browser: what each takes, and what completes one that is begun. Pure."""

__all__ = ["FILTER_WORDS"]

FILTER_WORDS = [
    ("state=", "unsent, pending, rejected ...; several with commas, as in state=waiting,in_doubt"),
    ("op=", "add, set, union ..., or a method's name: increment, charge"),
    ("profile=", "the id of a user or group, exactly"),
    ("group=", "a group key, such as company"),
    ("lane=", "people, groups, events, imports"),
    ("value=", "a part of a property's value, such as coffee"),
    ("error=", "a part of the reason; error== takes it exactly"),
    ("status=", "the HTTP status of the answer, such as 400, or none"),
    ("seq=", "numbers: 812, or 3,7..9"),
    ("since=", "recorded in the last 90s, 5m, 2h, 7d, or since 2026-01-31T12:00"),
    ("until=", "recorded before that"),
    ("!=", "in place of = negates, as in state!=shipped"),
    ("coffee", "a word alone: a part of an id, a group key, a property, a value or an error"),
]
"""Words and their meaning, for the help. All words of a filter must hold."""
