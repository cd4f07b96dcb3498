"""How far the recovery of one partition number has come, for whoever watches that it moves."""

from msgspec import Struct


class Restoring(Struct):
    """`step`: what it is at, as the end of a sentence. `moves`: grows with everything that is done of it."""

    step: str = "waits for its turn"
    moves: int = 0

    def begin(self, step: str) -> None:
        """The next step."""
        self.step = step
        self.moves += 1

    def move(self) -> None:
        """Something of the step is done."""
        self.moves += 1
