"""The order of positions."""

from placet._util.positions import number_of


def test_positions_are_ordered_by_their_numbers_with_and_without_the_mark_of_an_event() -> None:
    assert number_of("0") == 0
    assert number_of("9223372036854775807") == 2**63 - 1
    assert number_of("7" + "0" * 20) == 7
    assert number_of("12" + "18446744073709551615") == 12
