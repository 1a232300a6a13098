"""Percentiles and tables of results."""

import pytest

from bench.measure import Bound, Result, markdown, percentile


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)]
)
def test_a_percentile_is_a_measured_value_by_nearest_rank(share: float, value: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == value


def test_of_one_value_each_percentile_is_that_value() -> None:
    assert {percentile([7.0], share) for share in (0.0, 0.5, 0.99, 1.0)} == {7.0}


def test_rows_with_a_column_in_common_are_a_table_in_markdown() -> None:
    result = Result("Waiting")
    result.add("push", waiting=1000, ms=9.876)
    result.add("bus", waiting=10, told="none")
    result.add("memory", MB=7.25)
    result.bounds.append(Bound("push to bus", 3, 4))
    result.notes.append("On a small machine.")
    assert markdown(result) == (
        "**Waiting**\n\n"
        "|  | waiting | ms | told |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| push | 1,000 | 9.88 |  |\n"
        "| bus | 10 |  | none |\n\n"
        "|  | MB |\n"
        "| --- | ---: |\n"
        "| memory | 7.25 |\n\n"
        "- push to bus: 3 (at least 4) MISSED\n\n"
        "On a small machine."
    )
