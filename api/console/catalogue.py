"""The catalogue: every text of the console in each language, from one file a language.

English is the language of the texts in the code. ``locales/de.po`` has them in German. ``python -m
tests.console.catalogue`` brings new texts into it.
"""

from functools import cache
from importlib.resources import files
from io import BytesIO

from babel import Locale
from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""The languages, each by its own name. The first is the default."""

DEFAULT = "en"
COOKIE = "placet_language"


def N_(text: str) -> str:  # noqa: N802 - what gettext calls it
    """Mark a text for the catalogue that is translated where it is shown."""
    return text


def chosen_language(cookie: str | None, accepted: str | None) -> str:
    """Return the language that a person chose, or else the one that the browser asks for."""
    if cookie in LANGUAGES:
        return cookie
    wanted = []
    for item in (accepted or "").split(",")[:20]:
        name, _, quality = item.strip().partition(";q=")
        if name and quality.strip() != "0":
            wanted.append(name.replace("-", "_"))
    return negotiate_locale(wanted, list(LANGUAGES)) or DEFAULT


@cache
def locale_of(language: str) -> Locale:
    """Return the rules for dates and numbers of a language."""
    # English dates begin with the day, as most of the world writes them.
    return Locale.parse("en_GB" if language == "en" else language)


@cache
def translations_of(language: str) -> NullTranslations:
    """Return the texts of a language."""
    if language == DEFAULT:
        return NullTranslations()
    with files(__package__).joinpath(f"locales/{language}.po").open("rb") as file:
        texts = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, texts)
    compiled.seek(0)
    return Translations(compiled)
