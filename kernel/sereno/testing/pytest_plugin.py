"""Fixtures for a plugin's tests, there once sereno is installed; the one module that knows pytest.

``run_context``  builds a RunContext, see `sereno.testing.run_context`
``fake_clock``   a FakeClock; contexts of this test tell its time
``signals``      a Signals to wait on instead of sleeping
"""

from collections.abc import Callable
from functools import partial

import pytest

from sereno.testing.clock import FakeClock
from sereno.testing.context import RecordedRun
from sereno.testing.context import run_context as build_context
from sereno.testing.signals import Signals


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock that stands at 2026-01-01T00:00Z until the test advances it."""
    return FakeClock()


@pytest.fixture
def run_context(fake_clock: FakeClock) -> Callable[..., RecordedRun]:
    """Return `sereno.testing.run_context`, on this test's `fake_clock`."""
    return partial(build_context, clock=fake_clock)


@pytest.fixture
def signals() -> Signals:
    """Return a Signals of this test's own."""
    return Signals()
