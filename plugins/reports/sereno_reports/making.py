"""Makes and keeps the reports of one folder: one, or one for each recipient that its SQL names."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Any

import msgspec

from sereno_reports.addressee import addressees
from sereno_reports.answer import answer, snapshot
from sereno_reports.declared import DeclaredError, Folder
from sereno_reports.figures import Figures
from sereno_reports.look import Look, look_of
from sereno_reports.names import known_names
from sereno_reports.page import to_html
from sereno_reports.period import Period
from sereno_reports.reader import Question, read_figures
from sereno_reports.settings import ADDRESS, Settings
from sereno_reports.sheet import to_csv
from sereno_reports.shelf import Kept, Report, figures_of, keep

_NOBODY: dict[str, Any] = {"recipient": ""}


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """What all reports of one run have in common.

    `kept`: where reports are kept. `read`: where their SQL runs. `fence`: see ``RunContext.fence``.
    """

    folder: Folder
    kept: Any
    read: Any
    settings: Settings
    now: datetime
    fence: Callable[[Any], Awaitable[None]]

    async def make(self, period: Period, *, only_known: bool = False) -> list[tuple[Figures, Kept]]:
        """Make the reports of `period`, and keep each where its figures are new.

        `only_known`: not where there is no report yet and there was no call. Rows that name no
        recipient, or one that another names, are told once the others are made: DeclaredError.
        """
        made = []
        recipients, fault = await self._recipients(period)
        for recipient in recipients:
            figures = await self._figures(period, recipient)
            if only_known and not await self._is_known(figures):
                continue
            made.append((figures, await self._keep(figures, recipient)))
        if fault:
            raise DeclaredError(fault)
        return made

    async def _recipients(self, period: Period) -> tuple[list[dict[str, Any]], str]:
        """Return a row for each recipient, and what is wrong with the others, or "".

        What a row names beside address and language is a param.
        """
        chosen = self.folder.report.recipients
        if not isinstance(chosen, str):
            return [_NOBODY], ""
        values = {
            "start": period.start,
            "end": period.end,
            "day": period.first,
            "zone": period.zone,
        }
        async with snapshot(self.read, period.zone):
            found = await answer(self.read, self.folder, chosen, values)
        named: dict[str, dict[str, Any]] = {}
        nameless, twice, odd = False, set(), {}
        for row in map(dict, found.rows):
            name, address = str(row.get("recipient") or ""), row.get("address")
            if name and address and not ADDRESS.fullmatch(str(address)):
                odd[name] = address
            if name in named:
                twice.add(name)
            elif name:
                named[name] = row | {"recipient": name}
            nameless = nameless or not name
        subject = f"report '{self.folder.name}': {chosen} gives"
        faults = [f"{subject} a row without a recipient"] if nameless else []
        faults += [  # one of two would be a revision of the other
            f"{subject} recipient '{name}' more than once; name it so that each is another"
            for name in sorted(twice)
        ]
        faults += [
            f"{subject} recipient '{name}' the address {address!r}, which is no mail address"
            for name, address in sorted(odd.items())
        ]
        fine = [row for name, row in named.items() if name not in twice and name not in odd]
        return fine, "; ".join(faults)

    async def _figures(self, period: Period, recipient: dict[str, Any]) -> Figures:
        params = {
            name: value
            for name, value in recipient.items()
            if name not in ("recipient", "address", "language") and value is not None
        }
        figures = await read_figures(
            self.read,
            Question(
                folder=self.folder,
                period=period,
                settings=self.settings,
                now=self.now,
                recipient=recipient["recipient"],
                params=params,
            ),
        )
        declared = self.folder.report
        await self._recall(figures)
        if declared.compare:
            days = [earlier.first for earlier in period.earlier(declared.compare)]
            digest = self.settings.digest(figures.recipient)
            before = await figures_of(self.kept, figures.name, digest, days)
            figures.context.earlier = [one.head(declared.head) for one in before]
        return figures

    async def _recall(self, figures: Figures) -> None:
        """Take tables whose rows are kept no more from the last revision, if there is one."""
        if not figures.context.gone:
            return
        days = [date.fromisoformat(figures.day)]
        digest = self.settings.digest(figures.recipient)
        for last in await figures_of(self.kept, figures.name, digest, days):
            for name in figures.context.gone:
                if name in last.tables:
                    figures.tables[name] = last.tables[name]

    async def _is_known(self, figures: Figures) -> bool:
        days = [date.fromisoformat(figures.day)]
        digest = self.settings.digest(figures.recipient)
        if await figures_of(self.kept, figures.name, digest, days):
            return True
        counts = figures.head(self.folder.report.head).values()
        return any(isinstance(count, int | float) and count for count in counts)

    async def _keep(self, figures: Figures, recipient: dict[str, Any]) -> Kept:
        settings, declared = self.settings, self.folder.report
        names = await known_names(self.read, settings.sources) if _has_names(self.folder) else {}
        look = look_of(declared, figures, settings, names)
        delivered = msgspec.structs.replace(
            declared,
            formats=settings.formats.get(self.folder.name, declared.formats),
            severity=settings.severities.get(self.folder.name, declared.severity),
        )
        look = msgspec.structs.replace(look, declared=delivered)
        if recipient.get("language") in ("es", "en"):
            look = msgspec.structs.replace(look, language=recipient["language"])
        # In a thread: the first page loads the template engine, which the loop need not wait for.
        html, csv = await asyncio.to_thread(_written, figures, look)
        mails = [recipient["address"]] if recipient.get("address") else self._mails()
        report = Report(
            params_hash=settings.digest(figures.recipient),
            figures=figures,
            look=look,
            html=html,
            csv=csv,
            addressees=addressees(settings, self.folder.name, mails),
        )
        return await keep(self.kept, report, self.fence)

    def _mails(self) -> tuple[str, ...]:
        declared = self.folder.report.recipients
        chosen = self.settings.recipients.get(self.folder.name)
        if chosen is not None:
            return chosen
        return () if isinstance(declared, str) else declared


def _written(figures: Figures, look: Look) -> tuple[str, str]:
    return to_html(figures, look), to_csv(figures, look)


def _has_names(folder: Folder) -> bool:
    return any(column.names for table in folder.report.tables for column in table.columns)
