"""docs/session-lifecycle.md says what the transition table says."""

from scripts.draw_lifecycle import PAGE, page


def test_page_is_drawn_from_the_table() -> None:
    """The page is what `scripts/draw_lifecycle.py` draws: run it after a change of the table."""
    assert PAGE.read_text(encoding="utf-8") == page()
