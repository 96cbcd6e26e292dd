"""A hidden Markov model over the best rows of each frame, with a state for places that the map does not have.

States are the rows of the map and "new". A frame is seen through its k best rows: the likelihood ratio of each comes
from its score (`Evidence`), rows beyond have at most that of the last. Between frames a row is followed by rows within
the bounds of speed. The states kept are a frame's best rows and the likeliest of before ("carried"), so that time and
memory a frame do not grow with the map.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from netvlad.errors import NetvladError
from netvlad.sequences.averaging import check_length
from netvlad.sequences.evidence import NEW, Evidence
from netvlad.sequences.viterbi import best_path
from netvlad.types import Array, BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Motion:
    """How the place in the map moves: at most `forwards` and `backwards` a second, and `slack` more, each 0 or more.

    The units are those of where rows are: numbers along the map's own drive (its seconds, or rows), or metres in two or
    three dimensions, where forwards and backwards are one, the larger. stay: probability that a new place is followed
    by a new place; leave: that a place of the map is; jump: that it is followed by any row. span: rows within reach of
    a row. Raises NetvladError for other values.
    """

    forwards: float = 3.0
    backwards: float = 3.0
    slack: float = 1.0
    stay: float = 0.95
    leave: float = 0.02
    jump: float = 0.001
    span: float = 10.0

    def __post_init__(self) -> None:
        if not (self.forwards >= 0 and self.backwards >= 0 and self.slack >= 0 and self.span >= 1):
            raise NetvladError(f"speeds and slack are 0 or more, a span is at least 1; got {self}")
        if not all(0 < p < 1 for p in (self.stay, self.leave, self.jump)):
            raise NetvladError(f"probabilities of a motion lie between 0 and 1; got {self}")

    def reaches(self, before: Array, after: Array, seconds: Array) -> BoolArray:
        """Whether `after` (m,) or (m, d) can follow `before` (n,) or (n, d), `seconds` (n,) earlier: (n, m)."""
        if before.ndim == 1:
            step = after[None, :] - before[:, None]
            low, high = -self.backwards * seconds - self.slack, self.forwards * seconds + self.slack
            return np.asarray((step >= low[:, None]) & (step <= high[:, None]))
        apart = np.linalg.norm(after[None, :] - before[:, None], axis=-1)
        return np.asarray(apart <= (max(self.forwards, self.backwards) * seconds + self.slack)[:, None])


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known of a frame: rows `ids` (n,) int64, likeliest first, their `probability` (n,), and that of "new"."""

    t: float
    ids: IntArray
    probability: Array
    new: float


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame's states, "new" last. came: log probabilities of transitions from those of the frame before."""

    t: float
    ids: IntArray
    where: Array
    seen: Array  # when each row was last among the best
    likely: Array  # log likelihood ratios
    prior: Array
    came: Array | None
    forward: Array


class HiddenMarkov:
    """Takes frames in order of time and gives each an estimate `lag` frames later.

    length: frames that an estimate rests on, those after it among them; None: all so far. Length 1 is single frames.
    carry: rows kept from before. Memory and time a frame are bounded by `length`, or `lag` where all count.
    Raises NetvladError for values that make no sense.
    """

    def __init__(
        self,
        evidence: Evidence,
        motion: Motion | None = None,
        *,
        length: int | None = None,
        lag: int = 0,
        carry: int = 10,
    ) -> None:
        if length is not None:
            check_length(length)
        if lag < 0 or carry < 0 or (length is not None and lag >= length):
            raise NetvladError(f"a lag lies between 0 and the length less 1; got lag {lag}, length {length}")
        self.evidence, self.motion, self.lag, self.carry = evidence, motion or Motion(), lag, carry
        self.length = length
        self._window: deque[_Frame] = deque()

    def add(self, ids: IntArray, scores: FloatArray, where: Array, t: float, size: int) -> Estimate | None:
        """Take the best rows `ids` (k,), -1 for none, of a frame at `t` seconds, their `scores` and `where` they are,
        (k,) or (k, d), in a map of `size` rows. Returns the estimate of the frame `lag` before, if there is one.
        """
        self._extend(ids, scores, where, t, size)
        most = self.lag + 1 if self.length is None else self.length
        if len(self._window) > most:
            self._window.popleft()
            if self.length is not None:  # what was known before is forgotten
                self._restart()
        return self._estimate(self.lag) if len(self._window) > self.lag else None

    def finish(self) -> list[Estimate]:
        """Estimates of the last frames, which waited for later ones; the next frame begins anew."""
        left = min(self.lag, len(self._window))
        found = [self._estimate(back) for back in range(left - 1, -1, -1)]
        self._window.clear()
        return found

    def _extend(self, ids: IntArray, scores: FloatArray, where: Array, t: float, size: int) -> None:
        held = np.flatnonzero(np.asarray(ids) >= 0)
        ids, where = np.asarray(ids, np.int64)[held], np.asarray(where, np.float64)[held]
        likely = self.evidence.of(np.asarray(scores)[held])
        seen, last = np.full(len(ids), t), self._window[-1] if self._window and self.length != 1 else None
        if last is not None:
            own = np.flatnonzero(~np.isin(last.ids, ids))
            own = own[np.argsort(-last.forward[own], kind="stable")][: self.carry]
            least = likely.min() if len(likely) else 0.0
            likely = np.concatenate([likely, np.full(len(own), min(least, 0.0))])
            ids, seen = np.concatenate([ids, last.ids[own]]), np.concatenate([seen, last.seen[own]])
            where = np.concatenate([where, last.where[own]]) if len(where) else last.where[own]
        likely = np.append(likely, 0.0)
        prior = np.append(np.full(len(ids), np.log((1 - NEW) / max(size, 1))), np.log(NEW))
        came = None if last is None else self._transitions(last, where, t, size)
        forward = prior + likely if last is None or came is None else _summed(last.forward, came) + likely
        forward -= np.logaddexp.reduce(forward)
        self._window.append(_Frame(t, ids, where, seen, likely, prior, came, forward))

    def _transitions(self, last: _Frame, where: Array, t: float, size: int) -> Array:
        m, size = self.motion, max(size, 1)
        share = np.full((len(last.ids) + 1, len(where) + 1), (1 - m.stay) / size)
        if len(last.ids) and len(where):
            near = m.reaches(last.where, where, t - last.seen)
            share[:-1, :-1] = (1 - m.leave) * ((1 - m.jump) * near / max(m.span, 1.0) + m.jump / size)
        share[:-1, -1], share[-1, -1] = m.leave, m.stay
        return np.asarray(np.log(share))

    def _restart(self) -> None:
        before: _Frame | None = None
        for i, frame in enumerate(self._window):
            if before is None or frame.came is None:
                forward = frame.prior + frame.likely
            else:
                forward = _summed(before.forward, frame.came) + frame.likely
            frame = replace(frame, forward=forward - np.logaddexp.reduce(forward))
            self._window[i] = before = frame

    def _estimate(self, back: int) -> Estimate:
        at = len(self._window) - 1 - back
        frame = self._window[at]
        after = np.zeros(len(self._window[-1].likely))
        for i in range(len(self._window) - 1, at, -1):
            came = self._window[i].came
            assert came is not None
            after = np.logaddexp.reduce(came + (self._window[i].likely + after)[None, :], axis=1)
        both = frame.forward + after
        probability = np.exp(both - np.logaddexp.reduce(both))
        order = np.argsort(-both[:-1], kind="stable")
        return Estimate(frame.t, frame.ids[order], probability[:-1][order], float(probability[-1]))

    def path(self) -> IntArray:
        """The likeliest rows of the frames that are held, one after the other (Viterbi): (n,) int64, -1 is "new"."""
        if not self._window:
            return np.empty(0, np.int64)
        first, *later = self._window
        steps = [(frame.came, frame.likely) for frame in later if frame.came is not None]
        states = best_path(first.forward, steps)
        rows = [np.append(frame.ids, -1)[s] for frame, s in zip(self._window, states, strict=True)]
        return np.array(rows, np.int64)


def _summed(forward: Array, came: Array) -> Array:
    return np.asarray(np.logaddexp.reduce(forward[:, None] + came, axis=0))
