"""The people and machines of the tests, each with a first name."""

from domain.values import Principal, Role


def principal(
    name: str,
    *roles: Role,
    groups: tuple[str, ...] = (),
    queues: tuple[str, ...] | None = None,
) -> Principal:
    """Return a principal whose id is its name; without ``queues`` it serves every queue."""
    return Principal(
        id=name,
        name=name.title(),
        roles=frozenset(roles),
        groups=frozenset(groups),
        queues=None if queues is None else frozenset(queues),
    )


def approver(name: str, *groups: str) -> Principal:
    """Return an approver who is in these groups."""
    return principal(name, Role.APPROVER, groups=groups)


OLIVIA = principal("olivia", Role.OPERATOR)
ENGINE = principal("engine", Role.ENGINE, queues=("default",))
OTHER_ENGINE = principal("other-engine", Role.ENGINE, queues=("elsewhere",))
ANN = approver("ann", "finance", "managers")
BOB = approver("bob", "finance")
CLEO = approver("cleo", "legal")
STRANGER = approver("stranger", "gardeners")
AUDREY = principal("audrey", Role.AUDITOR)
ADAM = principal("adam", Role.ADMIN)
NOBODY = principal("nobody")

EVERYBODY = (OLIVIA, ENGINE, OTHER_ENGINE, ANN, BOB, CLEO, STRANGER, AUDREY, ADAM, NOBODY)
_BY_NAME = {person.name.lower(): person for person in EVERYBODY}


def named(who: str | Principal) -> Principal:
    """Return the principal with this first name, or the one that was handed over."""
    return _BY_NAME[who] if isinstance(who, str) else who
