"""Limits on GraphQL documents, checked in one pass before validation.

Fragments that spread each other can make validation take seconds. Here each fragment is measured
once, so the time is linear in the length of the document.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

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
    VariableNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)

# The largest document of the sdk has 222 tokens, the introspection query of GraphiQL 183. Within
# these limits, a document is read and validated in less than 30 ms.
MAX_TOKENS = 800
MAX_CHARACTERS = 20_000
MAX_DEPTH = 30
MAX_ALIASES = 200
MAX_DIRECTIVES = 100
MAX_FRAGMENTS = 40
MAX_ROOT_FIELDS = 100
MAX_SELECTIONS = 1_000
MAX_OBJECTS = 60_000
MAX_REPEATS = 4
"""How often one name may be selected in one place. Validation compares all pairs of them."""

MAX_PAGE = 500
"""Items of one page, where the field itself refuses more."""
MAX_DIGITS = 9

MAX_ITEMS = "placet-max-items"
"""The extension of a field or an argument that says how many items its list has at most.

0 also for a field without a list: what it has is limited otherwise, so that nothing in it counts.
"""

ListSizes = Mapping[str, int]
"""How many items the lists of fields have at most, by name; for pages if ``first`` is left out."""


class _Size(NamedTuple):
    """The size of a set of selections with all fragments spread."""

    selections: int = 0
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    roots: int = 0
    objects: int = 0
    fragments: int = 0

    def beside(self, other: "_Size") -> "_Size":
        return _Size(
            self.selections + other.selections,
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.roots + other.roots,
            self.objects + other.objects,
            self.fragments + other.fragments,
        )


def list_sizes(schema: GraphQLSchema) -> ListSizes:
    """Return the sizes of all lists of objects: by their extension, and for pages by ``first``.

    The edges of a page count with the field that has the page.
    """
    sizes: dict[str, int] = {}
    for type_ in schema.type_map.values():
        if type_.name.startswith("__"):
            continue
        for name, field in getattr(type_, "fields", {}).items():
            size = _list_size(name, field)
            if size is not None:
                sizes[name] = max(size, sizes.get(name, 0))
    return sizes


def _list_size(name: str, field: Any) -> int | None:
    first = getattr(field, "args", {}).get("first")
    if first is not None:
        return first.default_value if isinstance(first.default_value, int) else MAX_PAGE
    if field.extensions.get(MAX_ITEMS) == 0:
        return 0
    listed = field.type.of_type if is_non_null_type(field.type) else field.type
    if name == "edges" or not is_list_type(listed):
        return None
    if not is_composite_type(get_named_type(listed)):
        return None
    size: int = field.extensions.get(MAX_ITEMS, MAX_PAGE)
    return size


class LimitedList(NamedTuple):
    """A variable whose value is a list of limited length, an argument of a root field."""

    variable: str
    argument: str
    limit: int

    def problem(self, variables: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the value, None if it is not too long."""
        value = variables.get(self.variable)
        if not isinstance(value, list) or len(value) <= self.limit:
            return None
        return (
            f"{self.argument} has {len(value)} entries, the limit is {self.limit}; "
            "send several requests"
        )


def limited_lists(
    schema: GraphQLSchema, operation: OperationDefinitionNode
) -> tuple[LimitedList, ...]:
    """Return the variables that are limited lists. What is written in a document is limited too.

    Root fields in fragments are left out; their resolvers check the length.
    """
    root = schema.get_root_type(operation.operation)
    found: list[LimitedList] = []
    for node in operation.selection_set.selections:
        field = root.fields.get(node.name.value) if root and isinstance(node, FieldNode) else None
        if field is None:
            continue
        assert isinstance(node, FieldNode)
        for argument in node.arguments or ():
            name, value = argument.name.value, argument.value
            limit = field.args[name].extensions.get(MAX_ITEMS)
            if limit is not None and isinstance(value, VariableNode):
                found.append(LimitedList(value.name.value, name, limit))
    return tuple(found)


def check(document: DocumentNode, lists: ListSizes) -> str | None:
    """Return which limit the document exceeds, None if there is none.

    Fragments count at every place where they are spread, because that is what would be executed.
    Validation refuses fragments that spread themselves.
    """
    measure = _Measure(document, lists)
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
    return measure.repeated


def _problem(size: _Size) -> str | None:
    for what, number, limit in (
        ("is nested {} levels deep", size.depth, MAX_DEPTH),
        ("has {} aliases", size.aliases, MAX_ALIASES),
        ("has {} directives", size.directives, MAX_DIRECTIVES),
        ("asks for {} fields at its root", size.roots, MAX_ROOT_FIELDS),
        ("selects {} fields", size.selections, MAX_SELECTIONS),
        ("has {} fragments", size.fragments, MAX_FRAGMENTS),
        ("asks for up to {} items, with nested lists multiplied,", size.objects, MAX_OBJECTS),
    ):
        if number > limit:
            shown = str(number) if number < 2 * MAX_OBJECTS else "far too many"
            return (
                f"the document {what.format(shown)} with all fragments spread; the limit is {limit}"
            )
    return None


class _Measure:
    """``repeated``: the problem of a name that is selected too often, None if there is none."""

    def __init__(self, document: DocumentNode, lists: ListSizes) -> None:
        self.repeated: str | None = None
        self._lists = lists
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
        times: dict[str, int] = {}
        for node in selection_set.selections if selection_set else ():
            size = size.beside(self._selection(node))
            if isinstance(node, FieldNode):
                name = (node.alias or node.name).value
                times[name] = times.get(name, 0) + 1
                if times[name] > MAX_REPEATS:
                    self.repeated = (
                        f"the document selects {name} more than {MAX_REPEATS} times in one place, "
                        "which is the limit; select it once"
                    )
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
                inner.objects if items is None else items * (1 + inner.objects),
                inner.fragments,
            )
        if isinstance(node, FragmentSpreadNode):
            inner = self._fragment(node.name.value)
        else:
            inner = self.selections(getattr(node, "selection_set", None))
        return inner._replace(
            directives=inner.directives + directives, fragments=inner.fragments + 1
        )

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

    def _items(self, node: FieldNode) -> int | None:
        """Return how many items a list may have, None for a field without a list."""
        default = self._lists.get(node.name.value)
        if default is None or node.selection_set is None:
            return None
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    # The field itself refuses a number outside of its bounds.
                    return max(1, min(int(value.value[:MAX_DIGITS]), MAX_PAGE))
                return default if isinstance(value, NullValueNode) else MAX_PAGE
        return default
