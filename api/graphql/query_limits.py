"""Limits on GraphQL documents, checked in one pass before validation.

Fragments that spread each other can make validation take seconds. Here each fragment is measured
once, so the time is linear in the length of the document.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    IntValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

MAX_TOKENS = 10_000
MAX_DEPTH = 30
MAX_ALIASES = 200
MAX_DIRECTIVES = 100
MAX_ROOT_FIELDS = 100
MAX_SELECTIONS = 10_000
MAX_OBJECTS = 60_000

MAX_PAGE = 500
"""Items of one page, where the field itself refuses more."""
MAX_DIGITS = 9

PageSizes = Mapping[str, int]
"""How many items the fields with pages have at most, by name, if ``first`` is left out."""


class _Size(NamedTuple):
    """The size of a set of selections with all fragments spread."""

    selections: int = 0
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    roots: int = 0
    objects: int = 0

    def beside(self, other: "_Size") -> "_Size":
        return _Size(
            self.selections + other.selections,
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.roots + other.roots,
            self.objects + other.objects,
        )


def page_sizes(schema: GraphQLSchema) -> PageSizes:
    """Return the default page size of each field that takes ``first``."""
    sizes: dict[str, int] = {}
    for type_ in schema.type_map.values():
        for name, field in getattr(type_, "fields", {}).items():
            first = getattr(field, "args", {}).get("first")
            if first is not None:
                size = first.default_value if isinstance(first.default_value, int) else MAX_PAGE
                sizes[name] = max(size, sizes.get(name, 0))
    return sizes


def check(document: DocumentNode, pages: PageSizes) -> str | None:
    """Return which limit the document exceeds, None if there is none.

    Fragments count at every place where they are spread, because that is what would be executed.
    Validation refuses fragments that spread themselves.
    """
    measure = _Measure(document, pages)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            size = measure.selections(definition.selection_set)
            directives = size.directives + len(definition.directives or ())
            if problem := _problem(size._replace(directives=directives)):
                return problem
    # Validation also reads fragments that no operation spreads.
    for size in measure.all_fragments():
        if problem := _problem(size._replace(roots=0)):
            return problem
    return None


def _problem(size: _Size) -> str | None:
    for what, number, limit in (
        ("is nested {} levels deep", size.depth, MAX_DEPTH),
        ("has {} aliases", size.aliases, MAX_ALIASES),
        ("has {} directives", size.directives, MAX_DIRECTIVES),
        ("asks for {} fields at its root", size.roots, MAX_ROOT_FIELDS),
        ("selects {} fields", size.selections, MAX_SELECTIONS),
        ("asks for up to {} items, with nested pages multiplied,", size.objects, MAX_OBJECTS),
    ):
        if number > limit:
            shown = str(number) if number < 10 * MAX_SELECTIONS else "far too many"
            return (
                f"the document {what.format(shown)} with all fragments spread; the limit is {limit}"
            )
    return None


class _Measure:
    def __init__(self, document: DocumentNode, pages: PageSizes) -> None:
        self._pages = pages
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._sizes: dict[str, _Size | None] = {}

    def all_fragments(self) -> Iterable[_Size]:
        return [self._fragment(name) for name in self._fragments]

    def selections(self, selection_set: SelectionSetNode | None) -> _Size:
        size = _Size()
        for node in selection_set.selections if selection_set else ():
            size = size.beside(self._selection(node))
        return size

    def _selection(self, node: object) -> _Size:
        assert hasattr(node, "directives")
        directives = len(node.directives or ())
        if isinstance(node, FieldNode):
            inner = self.selections(node.selection_set)
            items = self._items(node)
            return _Size(
                inner.selections + 1,
                inner.depth + 1,
                inner.aliases + (node.alias is not None),
                inner.directives + directives,
                1,
                items * (1 + inner.objects) if items else inner.objects,
            )
        if isinstance(node, FragmentSpreadNode):
            inner = self._fragment(node.name.value)
        else:
            inner = self.selections(getattr(node, "selection_set", None))
        return inner._replace(directives=inner.directives + directives)

    def _fragment(self, name: str) -> _Size:
        if name in self._sizes:
            return self._sizes[name] or _Size()
        definition = self._fragments.get(name)
        if definition is None:
            return _Size()
        self._sizes[name] = None
        size = self.selections(definition.selection_set)
        size = size._replace(directives=size.directives + len(definition.directives or ()))
        self._sizes[name] = size
        return size

    def _items(self, node: FieldNode) -> int:
        """Return how many items a page may have, 0 for a field without pages."""
        default = self._pages.get(node.name.value)
        if default is None or node.selection_set is None:
            return 0
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    # The field itself refuses a number outside of its bounds.
                    return max(1, min(int(value.value[:MAX_DIGITS]), MAX_PAGE))
                return default if isinstance(value, NullValueNode) else MAX_PAGE
        return default
