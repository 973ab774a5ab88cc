"""The documentation site, which `make docs` builds with Sphinx: any warning is an error."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from textual.keys import key_to_character

import recorder
from simulator.testing.laws import LAWS
from tui.browser.keys import BINDINGS

SOURCE = "https://restante.invalid/source/blob/main"
PUBLIC = (
    "recorder",
    "recorder.relay",
    "recorder.model.errors",
    "simulator",
    "simulator.service",
    "simulator.testing",
    "simulator.conformance",
)

project = "restante"
author = copyright = "the authors of restante"  # noqa: A001  # Sphinx reads these names
release = version = recorder.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
root_doc = "index"
html_theme = "furo"
html_title = f"restante {version}"
html_copy_source = False
myst_heading_anchors = 4  # the anchors that forges give to headings
default_role = "py:obj"  # docstrings write names in single backticks: links, where there is an entry
smartquotes = False  # options begin with two hyphens
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
python_maximum_signature_line_length = 90
nitpicky = True
# Types in signatures that are not ours, or not public: what is public must have an entry, see below.
nitpick_ignore_regex = [("py:class", r"[a-z]+([.\[].+)?|[A-Z]\w+"), ("py:obj", ".*")]


class BrowserKeys(SphinxDirective):
    """Tables of the browser's keys, one for each place."""

    def run(self) -> list[nodes.Node]:
        """Return them, as the table of bindings has them."""
        lines = []
        for place, bindings in BINDINGS.items():
            lines += [f"**{place}**", "", "| key | does | | id |", "|---|---|---|---|"]
            for one in bindings:
                keys = " ".join(f"`` {_named(key)} ``" for key in one.key.split(","))
                lines.append(f"| {keys} | {one.description} | {one.tooltip} | `{one.id}` |")
            lines.append("")
        found = nodes.container()
        self.state.nested_parse(StringList(lines), self.content_offset, found)
        return found.children


class Laws(SphinxDirective):
    """The table of the law suite's laws."""

    def run(self) -> list[nodes.Node]:
        """Return it, in the words of the laws themselves."""
        rows = [f"| `{law.name}` | {law.statement.replace('|', '&#124;')} |" for law in LAWS.values()]
        found = nodes.container()
        self.state.nested_parse(
            StringList(["| law | statement |", "|---|---|", *rows]), self.content_offset, found
        )
        return found.children


def _named(key: str) -> str:
    character = key_to_character(key)
    return (
        character.replace("|", "\\|") if character and character.isprintable() and character != " " else key
    )


def lead_to_sources(_app: Sphinx, _name: str, text: list[str]) -> None:
    """Lead links out of docs/ to where the source has its home; the changelog has a page."""
    text[0] = text[0].replace("](../CHANGELOG.md)", "](changelog.md)").replace("](../", f"]({SOURCE}/")


def unlink_examples(_app: Sphinx, page: nodes.document) -> None:
    """Make text of the addresses that help texts give as examples: nobody answers there."""
    for link in list(page.findall(nodes.reference)):
        if link.get("refuri", "").startswith("http://"):
            link.replace_self(link.children)


def hide_private_fields(*event: Any) -> tuple[str, str | None] | None:
    """Leave out the parameters of classes that only their own module makes, and of protocols."""
    _app, kind, _name, _of, _options, parameters, returned = event
    return (
        ("", returned)
        if kind == "class" and re.search(r"[( ]_\w+:|^\(\*args, \*\*kwargs\)$", parameters or "")
        else None
    )


def require_entries(app: Sphinx) -> None:
    """Warn of each public name without an entry in the reference."""
    documented = app.env.domains.python_domain.objects
    for module in PUBLIC:
        for name in import_module(module).__all__:
            if not {f"{module}.{name}", f"restante.{name}"} & documented.keys():
                logging.getLogger(__name__).warning("no entry for %s.%s", module, name)


def list_external_links(app: Sphinx, error: Exception | None) -> None:
    """Write down the links that lead elsewhere, which the build does not follow."""
    found = {
        link["refuri"]
        for page in app.env.found_docs
        for link in (app.env.get_doctree(page).findall(nodes.reference) if error is None else ())
        if link.get("refuri", "").startswith("http")
    }
    (Path(app.outdir) / "external-links.txt").write_text("\n".join([*sorted(found), ""]), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect what Sphinx calls."""
    app.add_directive("browser-keys", BrowserKeys)
    app.add_directive("laws", Laws)
    app.connect("source-read", lead_to_sources)
    app.connect("doctree-read", unlink_examples)
    app.connect("autodoc-process-signature", hide_private_fields)
    app.connect("env-check-consistency", lambda app, _env: require_entries(app))
    app.connect("build-finished", list_external_links)
