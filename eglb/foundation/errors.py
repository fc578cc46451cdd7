"""What can be wrong with what a user gave us, said in full and without a traceback."""

from __future__ import annotations

from collections.abc import Iterable


class _Problems(Exception):
    """A user's problems, all at once; `str()` is one per line. Never raised itself."""

    exit_code: int

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        # The argument is what pickle calls the class with again, so the error survives a process boundary.
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class InputError(_Problems):
    """Input or usage is wrong: a file, a name, an option. `problems` holds every message."""

    exit_code = 2


class InfeasibleError(_Problems):
    """Input is well formed, but no feasible plan exists. `problems` names the slots and gateways."""

    exit_code = 3
