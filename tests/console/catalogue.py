"""Brings the texts of the console into its catalogue: ``python -m tests.console.catalogue``.

A new text gets an entry without a translation, and one that is gone loses its entry.
"""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

import api.console
from api.console.catalogue import DEFAULT, LANGUAGES

ROOT = Path(api.console.__file__).parent
# Lines of the header that would change without a reason, or say nothing.
BOILERPLATE = (
    *('"Project-Id', '"Report-Msgid', '"POT-Creation', '"PO-Revision', '"Last-Translator'),
    *('"Language-Team', '"Generated-By'),
)
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {
    "_": None,
    "N_": None,
    "text": None,
    "gettext": None,
    "plural": (1, 2),
    "ngettext": (1, 2),
}


def extracted() -> Catalog:
    """Return every text of the console."""
    catalogue = Catalog(fuzzy=False)
    options = {"templates/**.html": {"encoding": "utf-8", "trimmed": "true"}}
    found = extract_from_dir(
        ROOT, method_map=METHODS, options_map=options, keywords=KEYWORDS, comment_tags=()
    )
    for file, _, message, _, _ in found:
        catalogue.add(message, locations=[(Path(file).as_posix(), 0)])
    return catalogue


def path_of(language: str) -> Path:
    """Return the file of a language."""
    return ROOT / "locales" / f"{language}.po"


def read(language: str) -> Catalog:
    """Return the catalogue of a language."""
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language)


def main() -> None:
    """Update the catalogues of all languages but the one in the code."""
    for language in LANGUAGES:
        if language == DEFAULT:
            continue
        catalogue = read(language)
        catalogue.update(extracted(), no_fuzzy_matching=True, update_header_comment=False)
        catalogue.header_comment = "# Texts of the console."
        catalogue.obsolete.clear()
        written = BytesIO()
        write_po(written, catalogue, width=100, sort_output=True, no_location=True)
        lines = written.getvalue().decode().splitlines(keepends=True)
        kept = "".join(line for line in lines if not line.startswith(BOILERPLATE))
        path_of(language).write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main()
