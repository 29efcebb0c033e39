"""Has Python's garbage collector look less often at what a process has and keeps."""

import gc

YOUNG = 5_000
"""Objects that are made before the young ones are looked through, in place of 700: those of a
thousand runs at once are gone by then, and are looked at never instead of three times."""


def spare() -> None:
    """Leave out what is there now, for good, and look at the rest more seldom.

    Code, plugins, settings and pools last as long as the process. To look through them every few
    thousand runs, and through each run's own objects until it is over, took a sixth of its time;
    of the pages of a console one in some hundred waited for it.
    """
    gc.collect()  # what is garbage already would otherwise stay
    gc.freeze()
    gc.set_threshold(YOUNG)
