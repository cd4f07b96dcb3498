"""Draws docs/session-lifecycle.md from the transition table: run it after a change of src/sessions/transitions.py."""

import sys
from pathlib import Path
from typing import Final

from models.session import SessionState
from sessions import transitions
from sessions.transitions import TRANSITIONS, Cause

PAGE: Final = Path(__file__).parent.parent / "docs" / "session-lifecycle.md"

_NAMES: Final = {None: "(not there)"} | {state: state.value for state in SessionState}
_NODES: Final = {None: "[*]"} | {state: state.value.replace(":", "_") for state in SessionState}
_HEAD: Final = """# The life of a session

Drawn from `src/sessions/transitions.py` by `scripts/draw_lifecycle.py`; a test fails when the two differ.
"""


def page() -> str:
    """The page as it should stand."""
    prose = (transitions.__doc__ or "").strip()
    steps = [step for step in TRANSITIONS.items() if step[0][1] is not Cause.CHANGED]
    arrows = [f"    {_NODES[state]} --> {_NODES[after]}: {cause.name}" for (state, cause), after in steps]
    # Mermaid shows the value of a state, whose colon it could not take as a name.
    labels = [f'    state "{state.value}" as {_NODES[state]}' for state in SessionState if ":" in state.value]
    rows = [f"| {_NAMES[state]} | `{cause.name}` | {_NAMES[after]} |" for (state, cause), after in TRANSITIONS.items()]
    causes = [f"- `{cause.name}`: {cause.value}" for cause in Cause]
    return "\n".join(
        [
            _HEAD,
            prose,
            "",
            "```mermaid",
            "stateDiagram-v2",
            *labels,
            *arrows,
            "```",
            "",
            "`CHANGED` leads from each state to itself and is left out of the picture.",
            "",
            "## Causes",
            "",
            *causes,
            "",
            "## Every step there is",
            "",
            "| state | cause | state after |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")
