"""The judges of ``make chaos`` find what is planted: a table of noughts is worth only that much."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .asking import do, value
from .chaos import account
from .chaos.eye import Eye
from .chaos.faults import PROMOTION, all_faults
from .chaos.plugin import EVERY_SECOND
from .chaos.program import SECTION, _write, chosen, main
from .chaos.replicas import Harm
from .chaos.report import Trial, fault_before, rows_of, table
from .chaos.stage import Promotion
from .chaos.trust import TrustSpan, overlaps, trust_spans

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def log(place: Path, label: str, *lines: dict[str, Any]) -> None:
    (place / f"{label}.log").write_text("".join(json.dumps(line) + "\n" for line in lines))


def trusted(term: int, since: float, until: float) -> dict[str, Any]:
    return {"event": "trusted", "term": term, "since": since, "until": until}


def test_two_that_trusted_themselves_at_once_are_found(tmp_path: Path) -> None:
    log(tmp_path, "a1", trusted(1, 10.0, 12.7), trusted(1, 11.0, 13.7))
    log(tmp_path, "b1", trusted(2, 13.5, 16.0))
    (found,) = overlaps(trust_spans(tmp_path, {}))
    assert (found.one.label, found.other.label) == ("a1", "b1")
    assert found.seconds == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("said", "deaths"),
    [([{"event": "trust ended", "term": 1, "at": 13.4}], {}), ([], {"a1": 13.4})],
    ids=["said so", "died"],
)
def test_one_that_ended_its_trust_or_died_in_time_is_not(
    said: list[dict[str, Any]], deaths: dict[str, float], tmp_path: Path
) -> None:
    log(tmp_path, "a1", trusted(1, 11.0, 13.7), *said)
    log(tmp_path, "b1", trusted(2, 13.5, 16.0))
    assert overlaps(trust_spans(tmp_path, deaths)) == []


def attempt(number: int, replica: str, at: float) -> list[dict[str, Any]]:
    line = {"job": "chaos.loop", "run": 7, "attempt": number, "replica": replica}
    line["token"] = f"{replica}-{at}"
    return [{**line, "word": "began", "at": at}, {**line, "word": "ended", "at": at + 0.1}]


def test_a_run_that_a_healthy_process_had_made_is_made_no_second_time() -> None:
    lines = attempt(1, "a1", 10) + attempt(2, "b1", 12)
    (found,) = account._of_attempts(lines, [], {7: AT})
    assert (found.kind, found.at) == ("run doubled", AT)


@pytest.mark.parametrize(("since", "excused"), [(11, True), (9.5, True), (12.5, False)])
def test_only_harm_before_the_second_attempt_excuses_it(since: float, excused: bool) -> None:
    lines = attempt(1, "a1", 10) + attempt(2, "b1", 12)
    harms = [Harm("b1", 0, 99), Harm("a1", since, since + 1)]
    assert (list(account._of_attempts(lines, harms, {7: AT})) == []) is excused


@pytest.mark.parametrize(("until", "excused"), [(11, True), (9, False)])
def test_an_attempt_whose_number_was_given_out_again_is_one_of_its_own(
    until: float, excused: bool
) -> None:
    lines = attempt(2, "a1", 10) + attempt(2, "a1", 12)
    harms = [Harm("a1", 8, until)]
    assert (list(account._of_attempts(lines, harms, {7: AT})) == []) is excused


def test_a_success_without_an_end_in_the_file_is_a_lost_run() -> None:
    lines = attempt(1, "a1", 10)
    runs = [(7, "chaos.loop", "succeeded", 1, AT), (8, "chaos.loop", "succeeded", 1, AT)]
    runs += [(9, "chaos.loop", "failed", 1, AT)]
    assert [f.detail[:5] for f in account._of_runs(runs, lines)] == ["run 8", "run 9"]


def test_a_second_that_the_file_lacks_or_has_twice_is_found() -> None:
    def line(job: str, second: int, run: int) -> dict[str, Any]:
        slot = (AT + timedelta(seconds=second)).isoformat()
        return {"job": job, "slot": slot, "run": run, "attempt": 1, "word": "ended"}

    lines = [line(j, s, 10 * s + n) for n, j in enumerate(EVERY_SECOND) for s in (1, 2, 3)]
    until = AT + timedelta(seconds=3.9)
    assert list(account._of_seconds(lines, AT, until)) == []
    lines.append(line("chaos.loop", 2, 99))
    lines.remove(line("chaos.thread", 3, 30 + list(EVERY_SECOND).index("chaos.thread")))
    found = [(f.kind, f.at.second) for f in account._of_seconds(lines, AT, until)]
    assert sorted(found) == [("slot doubled", 2), ("slot lost", 3)]


def test_a_run_with_the_result_of_another_attempt_or_slot_is_found() -> None:
    def line(run: int, token: str, second: int) -> dict[str, Any]:
        slot = (AT + timedelta(seconds=second)).isoformat()
        found = {"job": "chaos.loop", "run": run, "attempt": 1, "slot": slot, "token": token}
        return {**found, "word": "began"}

    def row(run: int, token: str, result: str | None, second: int) -> tuple[Any, ...]:
        at = AT + timedelta(seconds=second)
        return run, "chaos.loop", at, 1, token, result, at

    lines = [line(1, "a", 1), line(2, "b", 2), line(3, "c", 3)]
    rows = [row(1, "a", "a", 1), row(2, "b", "a", 2), row(3, "c", "c", 4), row(4, "d", None, 5)]
    found = [(f.kind, f.at.second) for f in account.of_results(rows, lines)]
    assert found == [("another's result", n) for n in (2, 4, 5)]


def test_a_slot_that_must_not_run_twice_and_began_twice_is_found() -> None:
    def began(job: str, run: int, second: int) -> dict[str, Any]:
        slot = (AT + timedelta(seconds=second)).isoformat()
        return {"job": job, "run": run, "attempt": 1, "slot": slot, "word": "began"}

    lines = [began("chaos.once", 1, 1), began("chaos.once", 2, 2), began("chaos.once", 7, 2)]
    lines += [began("chaos.loop", 3, 1), began("chaos.loop", 4, 1)]
    assert [(f.kind, f.at.second) for f in account._of_beginnings(lines)] == [("begun twice", 2)]


def test_only_what_a_promotion_may_have_forgotten_is_made_again_without_fault() -> None:
    second = timedelta(seconds=1)
    promotion = Promotion(AT + second, AT + 3 * second, 5)
    assert not account._forgotten(AT, [promotion])
    assert account._forgotten(AT + second, [promotion])
    assert account._forgotten(AT + 3 * second, [promotion])
    assert not account._forgotten(AT + 4 * second, [promotion])


def test_promotions_are_drawn_among_so_many_other_faults() -> None:
    faults = all_faults(3.0)
    names = [f.name for f in chosen(faults, 7, random.Random(1), promotions=3)]
    assert len(names) == 10
    assert names.count(PROMOTION) == 3
    assert PROMOTION in [f.name for f in chosen(faults, len(faults), random.Random(1))]
    assert [f.name for f in chosen(faults, 0, random.Random(1), promotions=2)] == [PROMOTION] * 2


def test_the_section_on_promotions_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "failover.md"
    _write(page, f"# A\n\n{SECTION}\nold\n\n## B\nb\n", "", only_promotions=False)
    _write(page, "", f"{SECTION}\nnew", only_promotions=True)
    assert page.read_text() == f"# A\n\n{SECTION}\nnew\n\n## B\nb\n"
    _write(page, "", f"{SECTION}\nnewer", only_promotions=True)
    assert page.read_text() == f"# A\n\n{SECTION}\nnewer\n\n## B\nb\n"
    _write(new := tmp_path / "new.md", "", f"{SECTION}\nfirst", only_promotions=True)
    assert new.read_text() == f"{SECTION}\nfirst\n"


@pytest.mark.fault
@pytest.mark.timeout(240)
def test_what_is_planted_in_a_real_run_ends_it_with_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    balance = account.balance

    def planted(
        eye: Eye, dsn: str, file: Path, since: datetime, harms: list[Harm], promotions: Any
    ) -> Any:
        eye.rows(
            "DELETE FROM sereno.slot WHERE (schedule_id, slot) = (SELECT schedule_id, slot"
            " FROM sereno.slot WHERE slot > %s ORDER BY slot LIMIT 1) RETURNING slot",
            [since + timedelta(seconds=1)],  # verify asks the clock a little later
        )
        lines = [json.loads(text) for text in file.read_text().splitlines()]
        ended = [n for n in lines if n["word"] == "ended" and n["job"] in EVERY_SECOND]
        with file.open("a") as stream:
            stream.write(json.dumps(ended[-1] | {"run": 999_999}) + "\n")
        log(file.parent, "z1", trusted(999, 0.0, 1e12))
        once = [n for n in lines if n["job"] == "chaos.once" and n["word"] == "began"]
        with file.open("a") as stream:
            stream.write(json.dumps(once[-1] | {"run": 999_998}) + "\n")
        eye.rows(
            'UPDATE sereno.run SET result = \'{"token": "another"}\' WHERE id = (SELECT max(id)'
            " FROM sereno.run WHERE job = 'chaos.loop' AND state = 'succeeded') RETURNING id"
        )
        return balance(eye, dsn, file, since, harms, promotions)

    monkeypatch.setattr(account, "balance", planted)
    assert main(["--seed", "1", "--faults", "1", "--only", "SIGTERM"]) == 1
    said = capsys.readouterr().out
    assert "slot lost: verify:" in said
    assert "slot doubled: the file has runs" in said
    assert "two leaders for" in said
    assert "begun twice: chaos.once" in said
    assert "another's result: run" in said


def test_belief_counts_where_no_session_was_ended_early() -> None:
    ending = {fault.name for fault in all_faults(3.0) if fault.ends_sessions}
    assert ending == {
        "Postgres restarted, immediate",
        PROMOTION,
        "lock session terminated",
        "a backend killed with -9",
    }
    trials = [Trial("kill", "a1", AT, 10.0, 1.0), Trial("cut", "b1", AT, 20.0, 4.0)]
    spans = [TrustSpan("a1", 1, 5.0, 21.0), TrustSpan("b1", 2, 20.5, 30.0)]
    (both,) = overlaps(spans)
    assert fault_before(trials, both) == "cut"


@pytest.fixture
def eye(database: str) -> Iterator[Eye]:
    found = Eye(database)
    yield found
    found.close()


def test_slots_that_were_skipped_failed_or_doubled_and_missing_chains_are_found(
    database: str, eye: Eye
) -> None:
    schedule = value(
        database,
        "INSERT INTO sereno.schedule (name, job, origin, declared)"
        " VALUES ('chaos.loop', 'chaos.loop', 'plugin', '{}') RETURNING id",
    )

    def slot(second: int, verdict: str, state: str | None) -> None:
        at = f"'{AT + timedelta(seconds=second)}'"
        run = "NULL"
        if state is not None:
            run = value(
                database,
                "INSERT INTO sereno.run (job, state, cause, schedule_id, slot)"
                f" VALUES ('chaos.loop', '{state}', 'slot', {schedule}, {at}) RETURNING id",
            )
        do(
            database,
            "INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term)"
            f" VALUES ({schedule}, {at}, '{verdict}', {run}, 1) ON CONFLICT DO NOTHING",
        )

    slot(0, "ran", "succeeded")
    slot(1, "skipped", None)
    slot(2, "ran", "failed")
    slot(3, "late", "succeeded")
    slot(3, "late", "succeeded")
    cutoff = AT + timedelta(minutes=1)
    found = {(f.kind, f.at.second) for f in account._of_slots(eye, cutoff)}
    assert found == {("slot lost", 1), ("slot lost", 2), ("slot doubled", 3)}
    chains = {(f.kind, f.at.second) for f in account._of_chains(eye, cutoff)}
    assert chains == {("run lost", 0), ("run lost", 3)}


def test_what_a_leader_wrote_after_the_next_term_began_is_found(database: str, eye: Eye) -> None:
    declared = "VALUES ('a', 'a', 'plugin', '{}') RETURNING id"
    schedule = value(
        database, f"INSERT INTO sereno.schedule (name, job, origin, declared) {declared}"
    )
    node = "00000000-0000-0000-0000-000000000001"
    for term, second in ((1, 0), (2, 10), (3, 20)):
        do(
            database,
            "INSERT INTO sereno.term (term, node, acquired_at)"
            f" VALUES ({term}, '{node}', '{AT + timedelta(seconds=second)}')",
        )
    for term, second in ((1, 9), (1, 11), (2, 11), (2, 21), (3, 21)):
        at = AT + timedelta(seconds=second, milliseconds=term)
        do(
            database,
            "INSERT INTO sereno.slot (schedule_id, slot, verdict, term, decided_at)"
            f" VALUES ({schedule}, '{at}', 'ran', {term}, '{at}')",
        )
    found = sorted((f.kind, f.at.second) for f in account.of_deposed(eye))
    assert found == [("two leaders", 11), ("two leaders", 21)]


def test_each_finding_is_put_to_the_fault_before_it() -> None:
    trials = [
        Trial("kill", "a1", AT, 10.0, 1.0, failover=0.2),
        Trial("cut", "b1", AT + timedelta(seconds=10), 20.0, 4.0, failover=2.5),
    ]
    late = account.Finding("slot lost", AT + timedelta(seconds=11), "")
    kill, cut = rows_of(trials, [late], [])
    assert (kill.cells()[7], cut.cells()[7]) == ("0", "1")
    assert "| kill" in table([kill, cut])
