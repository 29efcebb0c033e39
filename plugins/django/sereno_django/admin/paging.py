"""Pages of tables that grow: what has no bound is not counted."""

from functools import cached_property

from django.core.paginator import Paginator

_MOST = 10_000


class BoundedPaginator(Paginator):
    """Counts to 10,000 rows, and shows no page beyond."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, 10,000 at most."""
        return len(self.object_list.order_by("pk").values_list("pk")[:_MOST])
