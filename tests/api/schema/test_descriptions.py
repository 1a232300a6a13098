"""Who reads the schema learns from it what to send: everything that can be sent is described."""

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType

from api.schema import SERVED

LONGEST = 300


def described() -> Iterator[tuple[str, Any]]:
    """Give every argument, input field and enum value, with its path."""
    for name, type_ in SERVED.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{name}.{value}", each) for value, each in type_.values.items())
        for field_name, field in getattr(type_, "fields", {}).items():
            path = f"{name}.{field_name}"
            if isinstance(type_, GraphQLInputObjectType):
                yield path, field
            else:
                yield from ((f"{path}({arg})", each) for arg, each in field.args.items())


def test_every_argument_input_field_and_enum_value_has_a_description() -> None:
    found = dict(described())
    assert len(found) > 232
    assert [path for path, each in found.items() if not each.description] == []


def test_descriptions_are_short_sentences() -> None:
    texts = {path: each.description for path, each in described()}
    assert [path for path, text in texts.items() if not text.endswith(".")] == []
    assert [path for path, text in texts.items() if not text[0].isupper()] == []
    assert [path for path, text in texts.items() if len(text) > LONGEST] == []


def test_no_two_values_of_an_enum_mean_the_same() -> None:
    for type_ in SERVED.type_map.values():
        if isinstance(type_, GraphQLEnumType) and not type_.name.startswith("__"):
            texts = [each.description for each in type_.values.values()]
            assert len(set(texts)) == len(texts), type_.name
