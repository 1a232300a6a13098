"""The cache of documents: what it keeps is charged by its memory."""

import gc
import tracemalloc

from api.graphql.document_cache import DocumentCache
from api.graphql.query_limits import MAX_CHARACTERS, MAX_TOKENS
from api.schema import SERVED

LIMIT = 2 * 1024 * 1024


def largest(number: int) -> str:
    """Return a document near the limit on tokens that no other number has."""
    fields = " ".join(f"a{number}x{n}: stateDiagram" for n in range(90))
    arguments = " ".join(f"$v{n}: ID" for n in range(100))
    return f"query Q{number}({arguments}) {{ {fields} }}"


def test_documents_keep_no_more_memory_than_the_limit() -> None:
    documents = [largest(number) for number in range(60)]
    cache = DocumentCache(SERVED, max_bytes=LIMIT)
    assert cache.get("query Warm { stateDiagram }").errors == ()
    gc.collect()
    tracemalloc.start()
    try:
        for document in documents:
            cache.get(document)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0 < cache.bytes_kept <= LIMIT
    # The charge is an upper bound of what is kept.
    assert kept <= LIMIT


def test_a_repeated_document_is_not_prepared_again() -> None:
    cache = DocumentCache(SERVED)
    first = cache.get("{ stateDiagram }")
    assert cache.get("{ stateDiagram }") is first


def test_the_least_recently_used_documents_are_dropped_first() -> None:
    cache = DocumentCache(SERVED, max_bytes=LIMIT)
    used = cache.get("{ stateDiagram }")
    unused = cache.get("{ viewer { id } }")
    for number in range(60):
        cache.get(largest(number))
        assert cache.get("{ stateDiagram }") is used
    assert cache.get("{ viewer { id } }") is not unused


def test_an_invalid_document_is_charged_as_well() -> None:
    cache = DocumentCache(SERVED, max_bytes=LIMIT)
    for number in range(60):
        document = "{" + " ".join(f"unknown{number}x{n}" for n in range(MAX_TOKENS - 100)) + "}"
        assert cache.get(document).errors
        assert cache.bytes_kept <= LIMIT


def test_a_long_text_of_few_tokens_is_refused_unread_and_not_kept() -> None:
    cache = DocumentCache(SERVED)
    [error] = cache.get("{ stateDiagram } #" + "x" * MAX_CHARACTERS).errors
    assert (error.extensions or {})["code"] == "LIMIT_EXCEEDED"
    assert error.message == (
        f"the document has {MAX_CHARACTERS + 18} characters, the limit is {MAX_CHARACTERS}; "
        "send values as variables"
    )
    assert cache.bytes_kept == 0
