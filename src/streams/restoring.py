"""How far the recovery of one partition number has come, for whoever watches that it moves."""

from itertools import count

from msgspec import Struct, field

# Of the whole process: a recovery that begins anew is never taken for the one before, which stood still.
_MOVES = count(1)


def _move() -> int:
    return next(_MOVES)


class Restoring(Struct):
    """`step`: what it is at, as the end of a sentence. `moves`: another number with everything that is done of it."""

    step: str = "waits for its turn"
    moves: int = field(default_factory=_move)

    def begin(self, step: str) -> None:
        """The next step."""
        self.step = step
        self.moves = _move()

    def move(self) -> None:
        """Something of the step is done."""
        self.moves = _move()
