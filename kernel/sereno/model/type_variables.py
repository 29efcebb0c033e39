"""The type variables of declarations, whose defaults let ``RunContext`` and ``Job`` stand bare."""

from typing import TYPE_CHECKING, Any, TypeVar  # noqa: TID251 - see below

import msgspec

# Type checkers know defaults of type variables for every version, Python itself from 3.13 on. What
# checkers alone read costs no replica its memory, and hides no cycle: nothing of ours is imported.
if TYPE_CHECKING:
    from typing_extensions import TypeVar as WithDefault

    P = WithDefault("P", default=dict[str, Any])
    J = WithDefault("J", default=Any, covariant=True)
else:
    P = TypeVar("P")
    J = TypeVar("J", covariant=True)

S = TypeVar("S", bound=msgspec.Struct)
"""A job's own Struct of params."""
