"""Tells people: turns events into notifications and carries each to its notifiers, once.

    event ──draft──► routes ──► sereno.notification ──claim──► notifier.send
                                  (one open row per key and notifier)

Invariants: a thing (a `key`) is told once to each notifier until it is over or `repeat_every` has
passed, whatever node finds it out, and however many do; a message is claimed by one node at a time,
and sent again when that node dies on the way (so, after a crash, perhaps twice); what is over is
told to those alone who were told that it began; nothing here can hurt a run or the lead.
"""
