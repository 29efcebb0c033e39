"""Who may start: what the leader counts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.engine.occupancy import Occupancy, Occupant, Reservation

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=200)

runs = st.builds(
    Occupant,
    run_id=st.integers(1, 12),
    job=st.sampled_from(["a", "b"]),
    schedule_id=st.none() | st.integers(1, 3),
    key=st.none() | st.sampled_from(["x", "y"]),
    executor=st.sampled_from(["async", "thread"]),
    running=st.booleans(),
    foreign=st.booleans(),
)


def with_runs(*held: Occupant, max_running: int = 100, threads: int = 2) -> Occupancy:
    found = Occupancy(max_running, {"thread": threads})
    for run in held:
        found.add(run)
    return found


@SETTLED
@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), runs), max_size=40))
def test_the_counts_are_those_of_the_runs_that_were_added_and_not_removed(
    steps: list[tuple[str, Occupant]],
) -> None:
    occupancy, held = with_runs(max_running=5), dict[int, Occupant]()
    for step, run in steps:
        if step == "add":
            occupancy.add(run)
            held[run.run_id] = run
        else:
            assert occupancy.remove(run.run_id) == held.pop(run.run_id, None)
        running = [r for r in held.values() if r.running]
        for job in ("a", "b"):
            of_it = sum(1 for r in running if r.job == job)
            assert occupancy.full_jobs({job: of_it}) == [job]
            assert occupancy.full_jobs({job: of_it + 1}) == []
        assert sorted(occupancy.keys()) == sorted({r.key for r in running if r.key})
        assert occupancy.room() == max(0, 5 - len(running))
        assert sorted(occupancy.foreign()) == sorted(r.run_id for r in held.values() if r.foreign)
        for schedule in (1, 2, 3):
            wanted = {r.run_id for r in held.values() if r.schedule_id == schedule}
            assert occupancy.of_schedule(schedule) == wanted
            assert occupancy.occupied(schedule) == bool(wanted)
        threads = sum(1 for r in running if r.executor == "thread" and not r.foreign)
        assert occupancy.admits("c", None, None, "thread") == (len(running) < 5 and threads < 2)


def test_a_job_starts_no_more_runs_than_its_limit() -> None:
    occupancy = with_runs(Occupant(run_id=1, job="a"), Occupant(run_id=2, job="a"))
    assert not occupancy.admits("a", 2, None, "async")
    assert occupancy.admits("a", 3, None, "async")
    assert occupancy.admits("b", 2, None, "async")
    assert occupancy.full_jobs({"a": 2, "b": 1}) == ["a"]


def test_a_concurrency_key_admits_one_run_at_a_time_over_all_jobs() -> None:
    occupancy = with_runs(Occupant(run_id=1, job="a", key="tenant 7"))
    assert not occupancy.admits("b", None, "tenant 7", "async")
    assert occupancy.admits("b", None, "tenant 8", "async")


def test_a_run_of_another_node_holds_its_job_and_key_but_no_thread_of_ours() -> None:
    held = Occupant(run_id=1, job="a", key="k", executor="thread", foreign=True)
    occupancy = with_runs(held, threads=1)
    assert not occupancy.admits("a", 1, None, "async")
    assert not occupancy.admits("b", None, "k", "async")
    assert occupancy.admits("b", None, None, "thread")


def test_a_run_that_waits_occupies_its_schedule_and_no_place() -> None:
    occupancy = with_runs(Occupant(run_id=1, job="a", schedule_id=3, key="k"), max_running=1)
    held = occupancy.remove(1)
    assert held is not None
    occupancy.add(held.waiting())
    assert occupancy.of_schedule(3) == {1}
    assert occupancy.admits("a", 1, "k", "async")


def test_a_run_that_has_begun_once_is_never_too_late_to_begin_again() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    first = Occupant(run_id=1, job="a", start_by=at)
    assert first.waiting().start_by == at
    occupancy = with_runs(first.waiting())
    assert (occupancy.expires(), occupancy.expired(at + timedelta(1))) == (at, [1])
    occupancy.add(first.waiting(begun=True))
    assert (occupancy.expires(), occupancy.expired(at + timedelta(1))) == (None, [])


def test_removing_what_is_not_there_is_no_fault() -> None:
    assert with_runs().remove(5) is None


def test_clear_forgets_all_and_keeps_the_limits() -> None:
    occupancy = with_runs(Occupant(run_id=1, job="a", schedule_id=1), max_running=1, threads=1)
    occupancy.clear()
    assert (occupancy.full_jobs({"a": 1}), occupancy.of_schedule(1), occupancy.room()) == (
        [],
        set(),
        1,
    )
    occupancy.add(Occupant(run_id=2, job="a", executor="thread"))
    assert not occupancy.admits("b", None, None, "thread")


def test_a_reserved_place_counts_until_it_is_released_and_no_longer() -> None:
    occupancy, place = with_runs(max_running=2), Reservation(job="a", schedule_id=3, key="k")
    occupancy.reserve(place)
    occupancy.reserve(Reservation(job="a", schedule_id=3))
    assert (occupancy.room(), occupancy.keys(), occupancy.occupied(3)) == (0, ["k"], True)
    assert (occupancy.of_schedule(3), occupancy.foreign(), occupancy.waiting()) == (set(), [], [])
    occupancy.release(place)
    occupancy.release(place)
    assert (occupancy.room(), occupancy.keys(), occupancy.occupied(3)) == (1, [], True)


def test_what_a_deposed_leader_had_reserved_is_not_released_twice() -> None:
    occupancy, place = with_runs(max_running=1), Reservation(job="a", schedule_id=3)
    occupancy.reserve(place)
    occupancy.clear()
    occupancy.reserve(Reservation(job="a", schedule_id=3))
    occupancy.release(place)
    assert (occupancy.room(), occupancy.occupied(3)) == (0, True)


def test_an_attempt_that_was_left_behind_keeps_its_place_beside_the_next_of_its_run() -> None:
    occupancy, left = with_runs(max_running=3), Occupant(run_id=7, job="a", schedule_id=3)
    occupancy.hold(UUID(int=1), left)
    occupancy.hold(UUID(int=1), left)
    assert (occupancy.room(), occupancy.occupied(3), occupancy.repeats(7)) == (2, True, True)
    occupancy.add(Occupant(run_id=7, job="a", token=UUID(int=2)))
    occupancy.let_go(UUID(int=1))
    occupancy.let_go(UUID(int=1))
    assert (occupancy.room(), occupancy.occupied(3), occupancy.repeats(7)) == (2, False, False)
    assert occupancy.token(7) == UUID(int=2)
