"""The protocol of an evaluation as text, the same wherever a result is shown."""

from __future__ import annotations

from collections.abc import Sequence

from netvlad.benchmarks.protocol import Protocol

OTHER_DATES = "do not count, neither as matches nor as true ones."


def right(protocol: Protocol) -> str:
    """When a match is correct, such as "within 25 m"."""
    if protocol.radius is None:
        return "listed by the benchmark" if protocol.frames is None else f"at most {protocol.frames} frames off"
    degrees = "" if protocol.heading is None else f" and {protocol.heading:g}°"
    return f"within {protocol.radius:g} m{degrees}"


def rules(protocol: Protocol) -> dict[str, str]:
    """Every rule that a result depends on: subject -> text."""
    found = {}
    if protocol.benchmark:
        found["Benchmark"] = f"{protocol.benchmark}."
    found["A match is right"] = _right(protocol)
    if protocol.best_per_panorama:
        found["Cut-outs of one panorama"] = "only the best of them counts among the N best matches."
    if protocol.other_dates:
        found["Photos of the query's own date"] = OTHER_DATES
    fate = "stay in the denominator" if protocol.unmatched == "keep" else "are left out of the denominator"
    found["Queries without any true match"] = f"{fate}."
    found["N"] = f"{runs(protocol.ns)}."
    if protocol.query_resize:
        found["Queries are described"] = f"{protocol.query_resize}."
    return found


def _right(protocol: Protocol) -> str:
    if protocol.radius is None:
        frames = "" if protocol.frames is None else f", at most {protocol.frames} frames off"
        return f"when the benchmark lists it{frames}."
    heading = "" if protocol.heading is None else f", its heading at most {protocol.heading:g} degrees off"
    return f"within {protocol.radius:g} m of the query's true position{heading}."


def runs(numbers: Sequence[int]) -> str:
    """(1, 2, 3, 10, 15, 20) as "1, 2, 3, 10, 15 .. 20": three or more at one step, if larger than 1, as a run."""
    parts, i = [], 0
    while i < len(numbers):
        end = i + 1
        if end < len(numbers):
            step = numbers[end] - numbers[i]
            while end + 1 < len(numbers) and numbers[end + 1] - numbers[end] == step:
                end += 1
            if end - i >= 3:
                parts.append(f"{numbers[i]}, {numbers[i + 1]} .. {numbers[end]}")
                i = end + 1
                continue
        parts.append(str(numbers[i]))
        i += 1
    return ", ".join(parts)


def retrieval_rules(protocol: Protocol, cropped: bool) -> dict[str, str]:
    """As `rules`, for evaluations by mean average precision."""
    fate = "count with a precision of 0" if protocol.unmatched == "keep" else "are left out of the mean"
    whole = "cropped to their region of interest" if cropped else "whole"
    return {
        "Benchmark": f"{protocol.benchmark}.",
        "A match is right": "when the benchmark lists it.",
        "Junk": "what the benchmark lists as neither right nor wrong is taken out of a ranking before it is judged.",
        "Measure": "mean average precision by trapezoids; mP@k: mean share of right ones among the first k.",
        "Queries without any true match": f"{fate}.",
        "Queries are described": f"{protocol.query_resize}, {whole}.",
    }
