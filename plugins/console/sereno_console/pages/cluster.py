"""Replicas, terms, and the proof that every slot has one verdict."""

from datetime import timedelta

from starlette.responses import Response

from sereno_console.pages.asked import whole_number
from sereno_console.pages.chaos_record import chaos_record
from sereno_console.pages.environment import page
from sereno_console.pages.routes import PAGES
from sereno_console.pages.term_chart import term_chart
from sereno_console.web.request import ConsoleRequest

_TERMS = 50
_SPANS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@PAGES.on("GET", "/cluster", needs="read")
async def cluster(request: ConsoleRequest) -> Response:
    """Show the replicas, and who led since when."""
    before = whole_number(request.query_params.get("before", ""))
    terms = await request.sereno.terms(limit=_TERMS, before=before)
    view = await request.sereno.cluster()
    return await page(
        request,
        "cluster.html",
        active=("cluster",),
        cluster=view,
        versions=len({node.version for node in view.nodes if node.present}),
        terms=terms,
        chart=term_chart(terms, view.leader.now),
        drift=await request.sereno.drift(limit=20),
        older=terms[-1].term if len(terms) == _TERMS else None,
    )


@PAGES.on("GET", "/proof", needs="read")
async def proof(request: ConsoleRequest) -> Response:
    """Recompute what was due, and hold the ledger against it, only where it was asked for; and show
    what became of replicas that were broken on purpose."""
    asked = request.query_params.get("span", "")
    account = None
    if asked in _SPANS:
        request.user.require("verify", "*")
        account = await request.sereno.verify(_SPANS[asked])
    return await page(
        request,
        "proof.html",
        active=("proof",),
        spans=list(_SPANS),
        asked=asked,
        account=account,
        chaos=chaos_record(),
    )
