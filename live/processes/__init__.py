"""Two processes: the supervisor with the HTTP service, and the coordinator that it restarts."""

__all__ = [
    "ipc",
    "supervisor",
]
