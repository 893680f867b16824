"""Fault points: named places where tests crash the code on purpose.

Nothing happens in production: :func:`point` calls the hook, and there is none
until a test installs one. Tests loop ``crash_at(1)``, ``crash_at(2)``, … until
no fault fires, so that a new point is covered without touching the tests.
"""

from contextlib import contextmanager

_hook = None


class InjectedFault(BaseException):
    """A crash made by a test; a BaseException, so that no handler swallows it."""


def point(name: str):
    """Mark a place where a crash is interesting.

    :param name: what has just happened, or is about to
    """
    if _hook is not None:
        _hook(name)


@contextmanager
def hooked(hook):
    """Call `hook(name)` at each point while the context lasts.

    :param hook: callable that may raise, kill the process or count
    """
    global _hook  # one process, one hook: tests do not nest threads here
    previous, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = previous


@contextmanager
def crash_at(number: int, action=None):
    """Crash at the n-th fault point that is reached.

    :param number: 1 for the first point
    :param action: called with the point's name instead of raising
        :class:`InjectedFault`, for example to kill the process
    :return: the list of names reached so far; longer than or equal to `number`
        once the fault has fired
    """
    reached = []

    def count(name):
        reached.append(name)
        if len(reached) == number:
            if action is None:
                raise InjectedFault(name)
            action(name)

    with hooked(count):
        yield reached
