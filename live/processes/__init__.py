"""Two processes: the supervisor with the HTTP service, and the coordinator that it restarts."""
