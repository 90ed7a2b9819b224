"""edgekd.distill.interrupt: signals wait for what is under way, and never longer."""

import os
import signal
import threading

import pytest

from edgekd.distill.interrupt import SIGNALS, Interrupts


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def hold(*numbers: int, done: list[str] | None = None, error: Exception | None = None) -> None:
    """Signals that come while something is held; what is reached is noted in `done`."""
    done = [] if done is None else done
    interrupts = Interrupts()
    with interrupts.installed():
        with interrupts.held():
            send(*numbers)
            done.append("within")
            if error is not None:
                raise error
        done.append("after")


def test_a_signal_while_held_takes_effect_at_the_end() -> None:
    """What is within runs whole, and nothing after it does."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        hold(signal.SIGINT, done=done)
    assert done == ["within"]


def test_sigterm_leaves_with_143() -> None:
    """128 + 15, as a shell has it."""
    with pytest.raises(SystemExit) as stop:
        hold(signal.SIGTERM)
    assert stop.value.code == 143


def test_nothing_happens_without_a_signal() -> None:
    """What is held ends, and what follows runs."""
    done: list[str] = []
    hold(done=done)
    assert done == ["within", "after"]


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_elsewhere_takes_effect_at_once(number: int, kind: type[BaseException]) -> None:
    """Where nothing is half done there is nothing to wait for."""
    done = []

    def work() -> None:
        with Interrupts().installed():
            send(number)
            done.append("after")

    with pytest.raises(kind):
        work()
    assert done == []


def test_several_signals_are_one() -> None:
    """Ctrl-C and a SIGTERM in one step: the last counts, and the next step is free of both."""
    interrupts = Interrupts()

    def step(*numbers: int) -> None:
        with interrupts.held():
            send(*numbers)

    with interrupts.installed():
        with pytest.raises(SystemExit):
            step(signal.SIGINT, signal.SIGTERM)
        step()


def test_what_fails_while_held_is_not_hidden() -> None:
    """An error goes before a signal that came with it."""
    with pytest.raises(ValueError, match="broken"):
        hold(signal.SIGINT, error=ValueError("broken"))


def test_handlers_are_put_back() -> None:
    """Also where the block ends in an exception."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interrupts().installed():
        assert not {signal.getsignal(number) for number in SIGNALS} & set(before)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(KeyboardInterrupt):
        hold(signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_another_thread_changes_nothing() -> None:
    """Python handles signals in the main thread only; elsewhere the block just runs."""
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with Interrupts().installed():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
