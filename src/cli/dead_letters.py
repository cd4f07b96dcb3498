"""`flex-sessions dead-letters`: what was refused, why, and again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.settings import Settings
    from streams.dead_letters import Filters, Letter, LetterHead, Place, Progress

# As models.topics.INPUT_TOPICS and models.codec.Refusal: written out so that --help is quick; a test compares them.
TOPICS = ("vehicle.plug", "vehicle.charge", "flex.vehicle-policies", "flex.session-targets", "energy.prices")
REASONS = (
    "NULL_VALUE",
    "TOO_LARGE",
    "MALFORMED_JSON",
    "INVALID_MESSAGE",
    "WRONG_KEY",
    "WRONG_PARTITION",
    "TOO_OLD",
    "TOO_LATE",
    "IN_FUTURE",
    "POLICY_CONFLICT",
    "POLICY_IMMUTABLE",
    "POLICY_LIMIT",
    "POLICY_STALE",
)
# Of a value that is shown as text or in hexadecimal.
SHOWN_LIMIT_BYTES = 64 * 1_024
_LINE_BYTES = 16

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def dead_letters() -> None:
    """List, show and replay what the worker refused.

    A dead letter is named by its place, TOPIC/PARTITION/OFFSET: the input topic, and where the letter lies on the
    dead-letter topic beside it.
    """


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> "datetime | None":
    from datetime import datetime

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no RFC 3339 time") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone: append Z for UTC")
    return moment


def _filters(command: _Command) -> _Command:
    """The options by which letters are chosen."""
    for option in (
        click.option("--key", help="Only with this key."),
        click.option("--until", callback=_moment, help="Only what the log took before this time (RFC 3339)."),
        click.option("--since", callback=_moment, help="Only what the log took at or after this time (RFC 3339)."),
        click.option("--reason", "reasons", type=click.Choice(REASONS), multiple=True, help="Only these. Repeatable."),
        click.option("--topic", "topics", type=click.Choice(TOPICS), multiple=True, help="Only these. Repeatable."),
    ):
        command = option(command)
    return command


@dead_letters.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_letters(*, limit: int, as_json: bool, **chosen: Any) -> None:
    """List dead letters, the newest of them, in the order of their time."""
    from streams.dead_letters import DeadLetterBox

    filters = _chosen(**chosen)
    with _told_in_one_line():
        box = DeadLetterBox(_settings(), filters.topics)
        replays = _with_bar("reading replays", box.replays)
        selection = _with_bar("reading", lambda progress: box.select(filters, limit, newest=True, progress=progress))
    for head in selection.heads:
        click.echo(_json_line(head, replays[head.place]) if as_json else _line(head, replays[head.place]))
    click.echo(f"{len(selection.heads)} of {selection.found} dead letter(s)", err=True)


@dead_letters.command()
@click.argument("place")
@click.option("--raw", is_flag=True, help="Only the value's bytes, as they are.")
def show(*, place: str, raw: bool) -> None:
    """Show one dead letter: why it was refused, where it lay, its headers and its value."""
    import sys

    from streams.dead_letters import DeadLetterBox

    wanted = _place(place)
    with _told_in_one_line():
        box = DeadLetterBox(_settings(), (wanted.topic,))
        letter = box.fetch(wanted)
        replays = 0 if raw else box.replays()[wanted]
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        return
    for line in _description(letter, replays):
        click.echo(line)


@dead_letters.command()
@click.argument("places", nargs=-1)
@_filters
@click.option("--all", "everything", is_flag=True, help="All that the filters mean; without a filter, all there are.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="At most so many.")
@click.option("--again", is_flag=True, help="Also letters that were replayed before.")
@click.option("--key-from-value", is_flag=True, help="Give a WRONG_KEY record the id that its value names.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be replayed.")
def replay(
    *,
    places: tuple[str, ...],
    everything: bool,
    limit: int,
    again: bool,
    key_from_value: bool,
    dry_run: bool,
    **chosen: Any,
) -> int:
    """Write dead letters back to their topics, the oldest first, each on the partition where its vehicle belongs.

    Name PLACES, or give --all with filters. A letter that was replayed before is left out unless --again. A replayed
    record says so in its headers (replay-of, replay-attempt). Exits with 1 where a letter cannot be replayed.
    """
    from streams.dead_letter_replay import DeadLetterReplay
    from streams.dead_letters import DeadLetterBox

    wanted, filters, settings = [_place(text) for text in places], _chosen(**chosen), _settings()
    if bool(wanted) == everything:
        raise click.UsageError("name the letters to replay, or give --all")
    with _told_in_one_line():
        # Before the notes are read: what an earlier replay has not written by now, it never will.
        replaying = None if dry_run else DeadLetterReplay(settings)
        box = DeadLetterBox(settings, tuple({place.topic for place in wanted}) or filters.topics)
        earlier = _with_bar("reading replays", box.replays)
        if wanted:
            heads = [box.fetch(place).head for place in dict.fromkeys(wanted) if again or place not in earlier]
            left_out = len(set(wanted)) - len(heads)
            more = 0
        else:
            selection = _with_bar(
                "reading",
                lambda progress: box.select(
                    filters, limit, newest=False, replayed=None if again else earlier, progress=progress
                ),
            )
            heads, more, left_out = selection.heads, selection.found - len(selection.heads), 0
        if replaying is None:
            for head in heads:
                click.echo(_line(head, earlier[head.place]))
            click.echo(f"would replay {len(heads)} dead letter(s)")
            return 0
        with _bar("replaying", len(heads)) as progress:
            outcome = replaying.run(heads, dict(earlier), key_from_value=key_from_value, progress=progress)
    for line in outcome.impossible:
        click.echo(f"not replayed: {line}", err=True)
    click.echo(
        f"replayed {outcome.replayed} dead letter(s)"
        + (f"; left out {left_out} that were replayed before (--again)" if left_out else "")
        + (f"; {more} more match (--limit)" if more else "")
    )
    return 1 if outcome.impossible else 0


def _settings() -> "Settings":
    import os

    from runtime.settings import load_settings

    return load_settings(os.environ)


def _place(text: str) -> "Place":
    from streams.dead_letters import parse_place

    try:
        return parse_place(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _chosen(
    *,
    topics: tuple[str, ...],
    reasons: tuple[str, ...],
    since: "datetime | None",
    until: "datetime | None",
    key: str | None,
) -> "Filters":
    from streams.dead_letters import Filters

    return Filters(
        topics=topics or TOPICS,
        reasons=frozenset(reasons),
        since=since,
        until=until,
        key=None if key is None else key.encode(),
    )


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    from streams.errors import WorkerError

    try:
        yield
    except WorkerError as error:
        raise click.ClickException(str(error)) from error


_Answer = TypeVar("_Answer")


def _with_bar(label: str, work: "Callable[[Progress], _Answer]") -> _Answer:
    """Do something that counts offsets, whose number is known only to itself."""
    with _bar(label, None) as progress:
        return work(progress)


@contextmanager
def _bar(label: str, length: int | None) -> "Iterator[Progress]":
    import sys

    with click.progressbar(
        iter(()) if length is None else None,
        length=length,
        label=label,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
    ) as bar:
        yield bar.update


def _text(raw: bytes | None) -> str:
    """Bytes of anybody's for a terminal: nothing in it moves the cursor."""
    if raw is None:
        return "(null)"
    text = raw.decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _line(head: "LetterHead", replays: int) -> str:
    again = f"  replayed {replays}x" if replays else ""
    attempt = f"  after replay {head.attempt}" if head.attempt else ""
    at = head.refused_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    detail = _text(head.detail.encode(errors="replace"))[:200]
    return f"{head.place}  {at}  {head.reason}  key {_text(head.key)[:100]}{attempt}{again}  {detail}"


def _json_line(head: "LetterHead", replays: int) -> str:
    import msgspec

    fields = {
        "place": str(head.place),
        "reason": head.reason,
        "detail": head.detail,
        "topic": head.place.topic,
        "partition": head.original_partition,
        "offset": head.original_offset,
        "at": head.refused_at,
        "key": None if head.key is None else head.key.decode(errors="backslashreplace"),
        "valueBytes": head.value_bytes,
        "cut": head.cut,
        "attempt": head.attempt,
        "replays": replays,
    }
    return msgspec.json.encode(fields).decode()


def _description(letter: "Letter", replays: int) -> Iterator[str]:
    head = letter.head
    yield f"dead letter  {head.place}"
    yield f"reason       {head.reason}"
    yield f"detail       {_text(head.detail.encode(errors='replace'))}"
    yield f"original     {head.place.topic}, partition {head.original_partition}, offset {head.original_offset}"
    yield f"taken at     {head.refused_at.isoformat().replace('+00:00', 'Z')}"
    yield f"attempt      {head.attempt}"
    yield f"replayed     {replays} time(s)"
    if head.cut is not None:
        yield f"cut          {head.cut}"
    yield f"key          {_text(head.key)}"
    for name, value in letter.headers:
        yield f"header       {_text(name.encode())}: {_text(value)}"
    yield f"value        {head.value_bytes} bytes" if letter.value is not None else "value        (null)"
    yield from _value_lines((letter.value or b"")[:SHOWN_LIMIT_BYTES])


def _value_lines(value: bytes) -> Iterator[str]:
    """As text where it is text, else in hexadecimal."""
    try:
        yield from (_text(line.encode()) for line in value.decode().splitlines())
    except UnicodeDecodeError:
        for start in range(0, len(value), _LINE_BYTES):
            part = value[start : start + _LINE_BYTES]
            plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
            yield f"{start:08x}  {part.hex(' '):<{3 * _LINE_BYTES}} {plain}"
