"""Finding functions: by words, library, tag, memory type, contract, and what they return."""

from __future__ import annotations

from typing import NamedTuple

from hcs_lib.registry.entry import FunctionEntry


class Query(NamedTuple):
    """What is looked for; what is None or empty does not matter.

    Attributes
    ----------
    words
        Each must stand in the id, the first line of the documentation or a tag; case does not matter.
    contract
        The name of a `ProcessingContract`.
    """

    words: tuple[str, ...] = ()
    library: str | None = None
    tag: str | None = None
    memory_type: str | None = None
    contract: str | None = None
    returns: str | None = None

    def matches(self, entry: FunctionEntry) -> bool:
        """Tell whether a function is one of those looked for."""
        text = " ".join((entry.id, entry.doc, *entry.tags)).lower()
        return (
            all(word.lower() in text for word in self.words)
            and self.library in (None, entry.library)
            and (self.tag is None or self.tag in entry.tags)
            and self.memory_type in (None, entry.memory_type)
            and self.contract in (None, entry.contract.name)
            and self.returns in (None, entry.returns)
        )
