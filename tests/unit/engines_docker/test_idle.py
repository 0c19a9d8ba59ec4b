"""The heartbeat."""

from __future__ import annotations

import threading

from pytest_reseval.engines.docker.idle import Heart


class Ear:
    """Counts beats, and fails with the errors it is given, in turn."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.beats = 0
        self.enough = threading.Event()

    def send(self, data: bytes) -> None:
        assert data == b"\n"
        if self._errors:
            raise self._errors.pop(0)
        self.beats += 1
        if self.beats >= 3:
            self.enough.set()


def test_all_listeners_are_served_by_one_thread() -> None:
    heart = Heart(period=0.001)
    before = threading.active_count()
    ears = [Ear(), Ear()]
    for ear in ears:
        heart.add(ear)
    assert all(ear.enough.wait(10) for ear in ears)
    assert threading.active_count() == before + 1
    for ear in ears:
        heart.discard(ear)


def test_a_full_pipe_is_tried_again_and_a_broken_one_is_not() -> None:
    heart = Heart(period=0.001)
    full, broken, witness = Ear(BlockingIOError()), Ear(BrokenPipeError()), Ear()
    heart.add(broken)
    heart.add(full)
    heart.add(witness)
    assert full.enough.wait(10)
    assert witness.enough.wait(10)
    assert broken.beats == 0
    heart.discard(full)
    heart.discard(witness)


def test_a_discarded_listener_hears_no_more() -> None:
    heart = Heart(period=0.001)
    ear, witness = Ear(), Ear()
    heart.add(ear)
    assert ear.enough.wait(10)
    heart.discard(ear)
    heard = ear.beats
    heart.add(witness)
    assert witness.enough.wait(10)
    assert ear.beats == heard
    heart.discard(witness)
