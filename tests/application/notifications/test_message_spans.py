"""Each try to deliver a message has a span, if traces are on."""

from opentelemetry.trace import SpanKind, StatusCode

from tests.application.notifications.telling import telling
from tests.application.notifications.test_delivery import DUE_NOW, ask
from tests.application.notifications.town import Kept, failing
from tests.support.spans import server_spans, traceparent


async def test_a_try_links_to_the_command_of_which_it_tells(log_url: str) -> None:
    channel = Kept(fails=failing(1))
    with server_spans() as spans:
        async with telling(log_url, channel) as here:
            await ask(here)
            await here.settled()
            await here.execute(DUE_NOW)
            here.delivery.wake()
            await channel.until(2)
            rows = await here.settled()
    asked = traceparent(spans.named("command RequestApproval")[0].context)
    tries = spans.named("send kept")
    assert len(tries) == 4
    for span in tries:
        attributes = dict(span.attributes or {})
        failed = attributes["placet.message.tries"] == 1
        assert attributes["placet.outcome"] == ("waiting" if failed else "sent")
        assert (span.status.status_code is StatusCode.ERROR) is failed
        assert [traceparent(link.context) for link in span.links] == [asked]
        assert (span.kind, span.parent) == (SpanKind.PRODUCER, None)
        assert attributes["messaging.message.id"] in {str(row["id"]) for row in rows}
        assert not any(row["recipient"] in span.to_json() for row in rows)
