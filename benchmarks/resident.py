"""
How much memory a process has, and how much it had at most (RSS): read from C{/proc}, Linux only.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Memory", "Watch"]


@dataclass(frozen=True)
class Memory:
    """
    The memory of one process, in bytes.

    @ivar before: When it began to be watched.
    @ivar peak: The most that it had since.
    @ivar after: When it was looked at.
    """

    before: int
    peak: int
    after: int

    @property
    def growth(self) -> int:
        """
        How much more it had at most than when it began to be watched.
        """
        return self.peak - self.before


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    if found is None:
        raise RuntimeError(f"process {pid} has no {name}")
    return int(found[1]) * 1024


class Watch:
    """
    Watches processes from now on.

    @param pids: Their IDs by name.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        for pid in pids.values():
            # "To reset the peak resident set size to the process's current value" (proc(5)).
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._before = {name: _status(pid, "VmRSS") for name, pid in pids.items()}

    def look(self) -> dict[str, dict[str, int]]:
        """
        The fields of a L{Memory} for each process by its name.
        """
        return {
            name: asdict(Memory(self._before[name], _status(pid, "VmHWM"), _status(pid, "VmRSS")))
            for name, pid in self._pids.items()
        }
