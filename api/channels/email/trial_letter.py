"""The letter of ``placet-server mail-test``."""

from api.channels.email.letter import Fact, Letter, Section


def trial_letter(public_url: str) -> Letter:
    """Return a letter that says that mails arrive."""
    return Letter(
        subject="[Placet] This is a test",
        preview="Mails of Placet arrive.",
        sections=(
            Section(
                lead="Somebody ran placet-server mail-test.",
                title="Mails of Placet arrive",
                facts=(Fact("Links begin with", public_url),),
                button="Open the console",
                link=f"{public_url}/",
                asks=False,
            ),
        ),
        reason="You get this mail because your address was given to the command.",
        preferences=f"{public_url}/preferences",
    )
