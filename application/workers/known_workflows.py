"""The workflows that a worker has code for, as it says itself."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID


class Workflow(NamedTuple):
    """A workflow of a worker, of one version or, with None, of every version.

    ``cleans_up``: its code cleans up after a cancellation.
    """

    name: str
    version: str | None
    cleans_up: bool = False


class Candidate(NamedTuple):
    """An execution that can probably be claimed. ``workflow`` is None if it is not known yet."""

    execution_id: UUID
    queue: str
    workflow: str | None
    workflow_version: str | None


class KnownWorkflows:
    """What one worker knows. Two that know the same are equal."""

    def __init__(self, workflows: Iterable[Workflow]) -> None:
        self._cleans_up = {(each.name, each.version): each.cleans_up for each in workflows}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownWorkflows) and self._cleans_up == other._cleans_up

    def __hash__(self) -> int:
        return hash(frozenset(self._cleans_up.items()))

    @property
    def pairs(self) -> list[tuple[str, str | None]]:
        """All names and versions, in a fixed order."""
        return sorted(self._cleans_up, key=lambda pair: (pair[0], pair[1] or ""))

    @property
    def of_any_version(self) -> list[str]:
        """The names of the workflows that are known in every version."""
        return [name for name, version in self.pairs if version is None]

    @property
    def versions(self) -> tuple[list[str], list[str]]:
        """The names and versions of the workflows that are known in one version."""
        pairs = [(name, version) for name, version in self.pairs if version is not None]
        return [name for name, _ in pairs], [version for _, version in pairs]

    def knows(self, candidate: Candidate) -> bool:
        """Whether the worker can run the execution, as far as that can be said."""
        return candidate.workflow is None or self._found(candidate) is not None

    def cleans_up(self, candidate: Candidate) -> bool:
        """Whether the worker's code cleans up after a cancellation of the execution."""
        found = self._found(candidate)
        return found is not None and self._cleans_up[found]

    def _found(self, candidate: Candidate) -> tuple[str, str | None] | None:
        if candidate.workflow is None:
            return None
        exact = (candidate.workflow, candidate.workflow_version)
        general = (candidate.workflow, None)
        return next((each for each in (exact, general) if each in self._cleans_up), None)
