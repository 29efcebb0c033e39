"""Decides what runs, when and where, and carries it out: one node's share of a cluster.

Who is who, from the outside in:

- `leader` stands for the lead over one session; while it has it, a `term` lasts, kept up by the
  `heartbeat` and believed in only as long as `trust` allows.
- `firing_loop` is a term's one loop. A tick of it lets `scheduler` settle slots (what becomes of
  each is the `planner`'s, a pure function), `dispatcher` start what waits in the queue, and its
  `reaper` take the runs of nodes that are gone.
- `runner` makes the attempts of whatever this node has claimed, leading or not; an `attempt` runs a
  job in one of `executors/`, the `completer` writes how it ended, `progress` what it said before.
- `occupancy` counts places, `stragglers` the attempts that keep one against their will.

What holds throughout: the database decides, never a clock or a belief of this process. Whatever a
leader writes carries its term, whatever a run writes carries its attempt's token, and a statement
that comes too late changes nothing. So any part may be frozen, killed or cut off at any line.
"""
