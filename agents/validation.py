"""Message validation: every field holds what its kind declares, for the regions that it is about.

Checked once, on arrival, in both directions: no algorithm can turn a broken reply into a certificate, and no
broken request gets into an agent's memory or its compiled code, which trusts shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from eglb.agents.codec import Message, in_single_precision
from eglb.agents.region import Request


def check_replies(
    requests: Sequence[Request], replies: Sequence[Message], regions: slice, sizes: Mapping[str, int]
) -> None:
    """See that `replies` may be the answers of the host of these regions to `requests`, those to everyone.

    Axes are as long as the last request before that has them says; `sizes` tells of others, as far as known.

    Raises
    ------
    ValueError : what the host sent and why that cannot be.
    """
    # What a request is answered with stands once, in the signature of its `answer`.
    wanted = [type(request).answer.__annotations__["return"] for request in requests]
    if (got := [type(reply).__name__ for reply in replies]) != wanted:
        raise ValueError(f"sent {', '.join(got) or 'nothing'} where {', '.join(wanted)} is due")
    known = {**sizes, "region": regions.stop - regions.start}
    for request, reply in zip(requests, replies, strict=True):
        known |= sizes_of((request,))
        if problem := find_problem(reply, known) or find_excess(request, reply, regions):
            raise ValueError(f"sent {problem}")


def find_excess(request: Request, reply: Message, regions: slice) -> str | None:
    """Which field of a valid reply is more than these regions were asked about."""
    for name, numbers in reply.numbers().items():
        if numbers.at_most is not None:
            asked = getattr(request, numbers.at_most)[regions]
            # It may have been rounded on the way, also upwards.
            if (getattr(reply, name) > np.maximum(asked, in_single_precision(asked))).any():
                return f"{type(reply).__name__}.{name} with numbers above those asked about"
    return None


def sizes_of(messages: Iterable[Message]) -> dict[str, int]:
    """How long the axes of `messages` are, other than those that are cut by hosts; later ones count."""
    sizes: dict[str, int] = {}
    for message in messages:
        for name, numbers in message.numbers().items():
            sizes.update(zip(numbers.axes, np.shape(getattr(message, name)), strict=False))
    return {axis: size for axis, size in sizes.items() if axis not in ("region", "edge", "gateway")}


def find_problem(message: Message, sizes: Mapping[str, int]) -> str | None:
    """What is wrong with a message whose axes should be of these sizes; axes it does not name are as long as
    the first field that has them says.
    """
    sizes = dict(sizes)
    for name, numbers in message.numbers().items():
        value = getattr(message, name)
        field = f"{type(message).__name__}.{name}"
        shape = np.shape(value)
        if "region" in numbers.axes[:1] and shape[:1] != (
            sizes.setdefault("region", shape[0] if shape else 1),
        ):
            return f"{field} not for its {sizes['region']} regions"
        due = tuple(sizes.setdefault(axis, size) for axis, size in zip(numbers.axes, shape, strict=False))
        if len(shape) != len(numbers.axes) or shape != due:
            return f"{field} of shape {shape} instead of {due}"
        if value.dtype.kind not in "fiu":
            return f"{field} with entries of type {value.dtype}"
        if not value.size:
            continue
        # One pass finds NaN too, which is neither above nor below anything.
        low, high = value.min(), value.max()
        if not (math.isfinite(low) and math.isfinite(high)):
            return f"{field} with numbers that are not finite"
        if low < numbers.at_least:
            return f"{field} with numbers below {numbers.at_least:g}"
    for name, scalar in message.scalars().items():
        value = getattr(message, name)
        if isinstance(value, float | int) and not (math.isfinite(value) and value >= scalar.at_least):
            least = f" or below {scalar.at_least:g}" if math.isfinite(scalar.at_least) else ""
            return f"{type(message).__name__}.{name} that is not finite{least}"
    return None
