"""The leadership protocol as a state machine: never two fenced writers, in whatever order.

A model of the server (sessions that end when they are silent for a lease, one lock, one term, a
fence that a new term waits for or breaks) and of nodes that use the engine's own `Trust`. Messages
are delayed, lost and reordered between sessions; nodes freeze and resume with their clocks running
at different speeds; sessions are cut and terminated.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sereno.engine.trust import MARGIN, Trust

LEASE = 3.0
CALL_LIMIT = LEASE / 3
NODES = 3
Call = Literal["try", "begin", "beat", "unlock"]
Fences = Literal["broken", "waited for", "ignored"]
"""What a new term does about writers that hold the old one's row."""


@dataclass
class Node:
    """One process. `speed`: of its clock against the server's. `bereft`: the server ended its
    session by somebody's order, and it has not heard of it."""

    number: int
    speed: float
    trust: Trust
    session: int | None = None
    waiting: tuple[Call, float] | None = None
    term: int | None = None
    frozen: bool = False
    bereft: bool = False
    leaving: bool = False


@dataclass
class Session:
    node: int
    heard: float


@dataclass
class Write:
    """A transaction of a leader. `fenced`: it holds the term's row."""

    node: int
    term: int
    fenced: bool = False


@dataclass
class Server:
    fences: Fences
    sessions: dict[int, Session] = field(default_factory=dict)
    holder: int | None = None
    term: int = 0
    owners: dict[int, int] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    committed: list[Write] = field(default_factory=list)

    def end(self, session: int) -> None:
        self.sessions.pop(session, None)
        if self.holder == session:
            self.holder = None

    def answer(self, session: int, call: Call, term: int | None) -> Any:
        """Do what is asked; None when the answer is no."""
        held = self.holder == session
        if call == "try":
            if self.holder is None:
                self.holder = session
            return self.holder == session or None
        if call == "begin" and held:
            if self.fences == "broken":  # their backends are ended: they roll back
                self.writes = [w for w in self.writes if not w.fenced]
            self.term += 1
            self.owners[self.term] = self.sessions[session].node
            return self.term
        if call == "beat" and held and self.term == term:
            return True
        if call == "unlock" and held:
            self.holder = None
            return True
        return None


class World:
    """Everything, and every step that it can take; a step's number chooses among its objects."""

    def __init__(self, trust_of: Callable[[float], Trust] = Trust, fences: Fences = "broken"):
        self.now = 100.0
        self.server = Server(fences)
        self.nodes = [Node(n, speed, trust_of(LEASE)) for n, speed in enumerate((0.96, 1.0, 1.04))]
        self.numbers = 0
        self.asked: list[tuple[int, int, Call, int | None]] = []  # node, session, call, term
        self.answered: list[tuple[int, int, Call, Any]] = []

    # -- time ------------------------------------------------------------------------------------

    def time_passes(self, which: int) -> None:
        self.now += (0.01, 0.01, 0.05, 0.1, 0.2, 0.5, 0.9, 1.7, 2.5)[which]

    def the_server_ends_a_silent_session(self, which: int) -> None:
        """Never before the lease is over, but maybe long after."""
        silent = [n for n, s in self.server.sessions.items() if self.now - s.heard >= LEASE]
        if silent:
            self.server.end(silent[which % len(silent)])

    # -- nodes -----------------------------------------------------------------------------------

    def connect(self, number: int) -> None:
        node = self.nodes[number % NODES]
        if node.session is None and not node.frozen:
            self.numbers += 1
            node.session = self.numbers
            self.server.sessions[self.numbers] = Session(node.number, self.now)

    def go_on(self, number: int) -> None:
        """Send what the node's state asks for: a try, or a heartbeat."""
        node = self.nodes[number % NODES]
        if node.frozen or node.session is None or node.waiting or node.leaving:
            return
        if node.term is not None and not node.trust.holds(self.local(node)):
            self.lose(node, heard=True)
            return
        self.ask(node, "try" if node.term is None else "beat")

    def hand_over(self, number: int) -> None:
        node = self.nodes[number % NODES]
        if not node.frozen and node.term is not None and not node.waiting:
            node.trust.end()
            node.term = None
            self.ask(node, "unlock")

    def time_limit(self, number: int) -> None:
        node = self.nodes[number % NODES]
        if node.waiting and not node.frozen and self.local(node) - node.waiting[1] >= CALL_LIMIT:
            self.lose(node, heard=number < NODES)

    def freeze(self, number: int) -> None:
        self.nodes[number % NODES].frozen = True

    def resume(self, number: int) -> None:
        self.nodes[number % NODES].frozen = False

    def watchdog_cuts(self, number: int) -> None:
        """A thread does it, while the loop is blocked."""
        node = self.nodes[number % NODES]
        if node.frozen and node.session is not None:
            node.trust.end()
            self.server.end(node.session)

    def somebody_terminates_the_backend(self, number: int) -> None:
        node = self.nodes[number % NODES]
        if node.session in self.server.sessions:
            assert node.session is not None
            self.server.end(node.session)
            node.bereft = True

    def hear_of_the_end(self, number: int) -> None:
        node = self.nodes[number % NODES]
        dead = node.session is not None and node.session not in self.server.sessions
        if dead and not node.frozen:
            self.lose(node, heard=True)

    # -- messages --------------------------------------------------------------------------------

    def the_server_hears(self, which: int) -> None:
        if not self.asked:
            return
        number, session, call, term = self.asked.pop(which % len(self.asked))
        if session not in self.server.sessions:
            return
        fenced = any(w.fenced for w in self.server.writes)
        if call == "begin" and fenced and self.server.fences == "waited for":
            self.asked.append((number, session, call, term))  # it waits for the row
            return
        self.server.sessions[session].heard = self.now
        self.answered.append((number, session, call, self.server.answer(session, call, term)))

    def a_call_is_lost(self, which: int) -> None:
        if not self.asked:
            return
        self.asked.pop(which % len(self.asked))

    def an_answer_is_lost(self, which: int) -> None:
        if not self.answered:
            return
        self.answered.pop(which % len(self.answered))

    def a_node_hears(self, which: int) -> None:
        if not self.answered:
            return
        number, session, call, answer = self.answered[which % len(self.answered)]
        node = self.nodes[number % NODES]
        if node.frozen:
            return
        del self.answered[which % len(self.answered)]
        if node.session != session or node.waiting is None or node.waiting[0] != call:
            return
        _, sent = node.waiting
        node.waiting = None
        if call == "try" and answer:
            node.trust.begin(sent)
            self.ask(node, "begin")
        elif call == "begin" and answer:
            node.term = answer
        elif call == "beat" and answer:
            node.trust.extend(sent)
        elif call in ("begin", "beat"):
            self.lose(node, heard=True)

    # -- writes ----------------------------------------------------------------------------------

    def write(self, number: int) -> None:
        """On another connection, where it may be delayed for ever."""
        node = self.nodes[number % NODES]
        if node.term is not None and not node.frozen and node.trust.holds(self.local(node)):
            self.server.writes.append(Write(node.number, node.term))

    def a_write_goes_on(self, which: int) -> None:
        """It takes the fence, which may fail; then it commits."""
        if not self.server.writes:
            return
        write = self.server.writes[which % len(self.server.writes)]
        if write.fenced:
            self.server.writes.remove(write)
            self.server.committed.append(write)
            assert write.term == self.server.term, "a deposed leader's write was committed"
            assert self.server.owners[write.term] == write.node
        elif write.term == self.server.term:
            write.fenced = True
        else:
            self.server.writes.remove(write)

    # -- what must hold --------------------------------------------------------------------------

    def at_most_one_node_trusts_itself(self) -> None:
        leading = [
            n.number
            for n in self.nodes
            if n.term is not None and not n.bereft and n.trust.holds(self.local(n))
        ]
        assert len(leading) <= 1, f"nodes {leading} lead at once"

    def local(self, node: Node) -> float:
        return self.now * node.speed

    def ask(self, node: Node, call: Call) -> None:
        assert node.session is not None
        node.waiting = (call, self.local(node))
        self.asked.append((node.number, node.session, call, node.term))

    def lose(self, node: Node, heard: bool) -> None:
        """Drop the session; the server may hear of that, or go on believing in it."""
        node.trust.end()
        if heard and node.session is not None:
            self.server.end(node.session)
        node.session, node.waiting, node.term, node.bereft = None, None, None, False


STEPS: tuple[Callable[[World, int], None], ...] = (
    World.time_passes,
    World.the_server_ends_a_silent_session,
    World.connect,
    World.go_on,
    World.hand_over,
    World.time_limit,
    World.freeze,
    World.resume,
    World.watchdog_cuts,
    World.somebody_terminates_the_backend,
    World.hear_of_the_end,
    World.the_server_hears,
    World.a_call_is_lost,
    World.an_answer_is_lost,
    World.a_node_hears,
    World.write,
    World.a_write_goes_on,
)
OFTEN = (World.connect, World.go_on, World.the_server_hears, World.a_node_hears, World.resume)


class Leadership(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(step=st.sampled_from(STEPS), number=st.integers(0, 8))
    def go(self, step: Callable[[World, int], None], number: int) -> None:
        step(self.world, number)

    @invariant()
    def at_most_one_leads(self) -> None:
        self.world.at_most_one_node_trusts_itself()


TestLeadership = Leadership.TestCase
TestLeadership.settings = settings(
    derandomize=True, deadline=None, database=None, max_examples=100, stateful_step_count=80
)


def wander(world: World, steps: int) -> World:
    """Take so many steps in random order, and look after each whether all holds."""
    dice = random.Random(steps)
    choice = [*STEPS, *OFTEN * 6]
    for _ in range(steps):
        dice.choice(choice)(world, dice.randrange(9))
        world.at_most_one_node_trusts_itself()
    return world


@pytest.mark.parametrize("fences", ["broken", "waited for"])
def test_on_a_long_way_nobody_leads_beside_another_and_no_deposed_leader_writes(
    fences: Fences,
) -> None:
    world = wander(World(fences=fences), 600_000)
    terms = [w.term for w in world.server.committed]
    assert terms == sorted(terms)
    assert len(set(terms)) > 500, "hardly anything happened"


class Credulous(Trust):
    """Trusts itself for longer than the lease."""

    def __init__(self, lease: float) -> None:
        super().__init__(lease * 1.5 / (1 - MARGIN))


class Revived(Trust):
    """Lets a late answer bring trust back."""

    def extend(self, sent: float) -> None:
        self.begin(sent)


@pytest.mark.parametrize("trust_of", [Credulous, Revived])
def test_the_model_notices_a_leader_that_trusts_itself_for_too_long(trust_of: type[Trust]) -> None:
    with pytest.raises(AssertionError, match="lead at once"):
        wander(World(trust_of), 600_000)


def test_the_model_notices_a_term_that_does_not_wait_for_open_fences() -> None:
    with pytest.raises(AssertionError, match="deposed leader's write"):
        wander(World(fences="ignored"), 600_000)
