"""One clock for a simulated world: nothing waits, time passes when somebody would wait."""

from collections.abc import Callable


class Clock:
    """Stands in for the module `time`; the database's clock is beside it, and may be set forward or back."""

    def __init__(self) -> None:
        self.now, self.database_offset = 0.0, 1_800_000_000.0
        self.listeners: list[Callable[[], None]] = []
        """Called whenever time has passed."""

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.0)
        for each in list(self.listeners):
            each()

    def julian_day(self, _text: str) -> float:
        """Return what SQLite calls julianday('now'), from which the ledger takes its clock."""
        return (self.now + self.database_offset) / 86400.0 + 2440587.5


class Wake:
    """Stands in for the event that a driver with nothing to do waits for."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._is_set = clock, False

    def wait(self, seconds: float) -> bool:
        if not self._is_set:
            self._clock.sleep(seconds)
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False
