"""The templates, with everything that they can call."""

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api.console.assets import Asset
from api.console.catalogue import LANGUAGES, translations_of
from api.console.plain_text import plain


class Templates:
    """Fills the templates, in each language of the catalogue."""

    def __init__(self, assets: dict[str, Asset]) -> None:
        self._assets = assets
        loader = PackageLoader("api.console", "templates")
        self._environments = {name: self._environment(name, loader) for name in LANGUAGES}

    def render(self, language: str, name: str, /, **values: Any) -> str:
        """Fill a template."""
        return self._environments[language].get_template(name).render(values)

    def _environment(self, language: str, loader: PackageLoader) -> Environment:
        environment = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        texts = translations_of(language)
        environment.install_gettext_callables(  # type: ignore[attr-defined]
            texts.gettext, texts.ngettext, newstyle=True
        )
        environment.filters["plain"] = plain
        environment.filters["pretty_json"] = _pretty_json
        environment.globals["asset"] = self._address
        return environment

    def _address(self, name: str) -> str:
        return f"/static/{self._assets[name].version}/{name}"


def pretty(value: Any) -> str:
    """Return JSON with a member a line."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _pretty_json(value: Any) -> Markup:
    """Return JSON with a member a line. Hidden characters are escaped or marked."""
    return plain(pretty(value))
