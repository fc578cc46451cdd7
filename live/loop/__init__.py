"""The live loop: every slot planned by the clock, published and settled."""

__all__ = [
    "certificate",
    "controller",
    "planner",
    "records",
    "rehearsal",
    "slot_inputs",
    "status",
]
