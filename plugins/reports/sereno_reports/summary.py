"""Writes a report's figures as a few lines for a terminal."""

from datetime import date

from sereno_reports.figures import Figures
from sereno_reports.words import words_in


def summary(figures: Figures, revision: int) -> str:
    """Return the totals, and a line with a bar for each hour that had calls."""
    words = words_in("en")
    total, day = figures.total, date.fromisoformat(figures.day)
    state = ", day not over" if figures.partial else ", provisional" if figures.provisional else ""
    lines = [
        f"{words.date(day)} ({figures.zone}), revision {revision}{state}",
        "",
        f"  offered         {words.number(total.offered):>9}",
        f"  answered        {words.number(total.answered):>9}  {words.share(total.answer_rate)}",
        f"  abandoned       {words.number(total.abandoned):>9}  {words.share(total.abandon_rate)}",
        f"  service level   {words.share(total.service_level):>9}",
        f"  handling time   {words.duration(total.handling_s):>9}",
        f"  wait            {words.duration(total.answer_s):>9}",
        "",
    ]
    most = max((row.facts.calls for row in figures.hours), default=0)
    for row in figures.hours:
        if row.facts.calls:
            bar = "█" * max(1, round(40 * row.facts.calls / most))
            lines.append(f"  {row.label:<12} {row.facts.calls:>6}  {bar}")
    return "\n".join(lines).rstrip()
