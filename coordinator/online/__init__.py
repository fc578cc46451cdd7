"""Online control: one slot decided before the next is known. Policies, settlement, certificate."""
