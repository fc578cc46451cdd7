"""A solve while it runs: its checkpoint, its status, and orders about members."""
