"""The central solver: one linear program in HiGHS, to check the decentralised algorithms against."""
