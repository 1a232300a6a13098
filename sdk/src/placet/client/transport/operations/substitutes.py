"""What is sent and read about substitutes."""

from msgspec.json import Decoder

from placet.client.transport.envelope import Operation, Response, Variables, given
from placet.client.transport.operations import fragments
from placet.models.responses import Page
from placet.models.substitutes import Substitute, SubstituteInput, SubstituteResult

_FIELDS = f"""
  person {fragments.ACTOR} number substitute {fragments.ACTOR} groups startsAt endsAt inForce
  comment setBy {fragments.ACTOR}
"""
_RESULT = f"substitute {{ {_FIELDS} }} code message warnings repeated position"


def _set(command: SubstituteInput) -> Variables:
    return {"input": command}


def _end(number: int, person: str | None, reason: str | None) -> Variables:
    return given(number=number, person=person, reason=reason)


def _page(person: str | None, *, first: int, after: str | None, count: bool) -> Variables:
    return given(person=person, first=first, after=after, count=count)


SET = Operation(
    f"""mutation SetSubstitute($input: SubstituteInput!) {{
  result: setSubstitute(input: $input) {{ {_RESULT} }}
}}
""",
    Decoder(Response[SubstituteResult]),
    _set,
)
END = Operation(
    f"""mutation EndSubstitute($number: Int!, $person: ID, $reason: String) {{
  result: endSubstitute(number: $number, person: $person, reason: $reason) {{ {_RESULT} }}
}}
""",
    Decoder(Response[SubstituteResult]),
    _end,
)
PAGE = Operation(
    f"""query Substitutes($person: ID, $first: Int, $after: String, $count: Boolean!) {{
  result: substitutes(person: $person, first: $first, after: $after) {{
    edges {{ cursor node {{ {_FIELDS} }} }} {fragments.PAGE_INFO}
    totalCount @include(if: $count)
  }}
}}
""",
    Decoder(Response[Page[Substitute]]),
    _page,
)
