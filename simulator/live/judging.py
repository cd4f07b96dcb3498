"""What a running system published, held to the laws and to the truth."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec
from msgspec import Struct, structs

from models.command import ChargeCommand
from models.ids import SessionId, VehicleId
from models.session import Session, SessionState, TimeseriesPoint
from models.topics import SESSION_UPDATED
from models.webhook import EVENT_TYPE, SessionUpdated, ce_id, decode_headers
from simulator.judge.findings import Finding, Update
from simulator.judge.judged import JudgedCar
from simulator.live.naming import Naming
from simulator.live.reading import OutputRecord
from simulator.world.moments import HOUR_MS, QUARTER_MS, millis, moment

_UPDATE: Final = msgspec.json.Decoder(SessionUpdated)
_COMMAND: Final = msgspec.json.Decoder(ChargeCommand)
_UNREADABLE: Final = "what is published can be read"


class ToldIntervals(Struct, frozen=True):
    """The quarter-hours of a published session (Wh, %)."""

    started_at: datetime
    until: datetime
    energy_wh: tuple[int, ...]
    levels: tuple[int | None, ...]
    count: int


class LiveJudge:
    """All cars of a run. Names are those of the system; whatever is not of this run is passed over.

    Visits that began before `from_ms` are not compared: an earlier run did.
    """

    def __init__(
        self, naming: Naming, cars: Mapping[VehicleId, JudgedCar], report: Callable[[Finding], None], from_ms: int
    ) -> None:
        self._from_ms = from_ms
        # What is taken now was published before a restart: it is remembered, and not judged again.
        self.is_adopting = False
        self._naming = naming
        self._cars = cars
        self._report = report
        self._whose: dict[SessionId, VehicleId] = {}
        self.updates = 0
        self.commands = 0

    def take(self, record: OutputRecord, now_ms: int) -> ChargeCommand | None:
        """One committed record; a command that is for one of our cars is handed on."""
        if record.topic == SESSION_UPDATED:
            self._take_update(record, now_ms)
            return None
        return self._take_command(record, now_ms)

    def judge(self, now_ms: int, *, is_last: bool) -> None:
        """Everything that was written up to that moment is done, and all that came of it has been taken."""
        for car in self._cars.values():
            car.ledger.after_step(car.enabled(), moment(now_ms))
            parts = car.car.oracle.finished(now_ms)
            car.comparison.happened([part for part in parts if part.started_ms >= self._from_ms])
            active_since = None if is_last else car.ledger.active_since
            car.comparison.judge(now_ms - HOUR_MS, None if active_since is None else millis(active_since))

    @property
    def visits(self) -> int:
        """True visits whose boundaries and energy were held against a session."""
        return sum(car.comparison.compared for car in self._cars.values())

    @property
    def savings(self) -> int:
        """Visits of which the savings were held against the truth as well."""
        return sum(car.comparison.valued for car in self._cars.values())

    def _take_update(self, record: OutputRecord, now_ms: int) -> None:
        session_id = SessionId(record.key)
        if record.value is None:
            self._erase(session_id, now_ms)
            return
        try:
            headers = decode_headers(record.headers)
            # Others' are not even read: after a restart, all that the topic holds goes by.
            if not self._naming.is_ours(headers.vehicle_id):
                return
            body = _UPDATE.decode(record.value)
        except (KeyError, ValueError, msgspec.DecodeError) as error:
            self._find(_UNREADABLE, VehicleId("?"), now_ms, f"{record.key}: {error}")
            return
        session = self._naming.session(body.session)
        car = self._cars.get(session.vehicle_id)
        if car is None:
            self._find("nobody else's vehicle is invented", session.vehicle_id, now_ms, session.id)
            return
        self.updates += 1
        said = dict(record.headers)
        if (
            {headers.session_id, session.id} != {session_id}
            or self._naming.plain(headers.vehicle_id) != session.vehicle_id
            or (body.event, self._naming.plain(body.user_id)) != (EVENT_TYPE, session.user_id)
            or headers.created_at != body.created_at
            or said.get("ce_id") != ce_id(session.id, headers.version).encode()
        ):
            self._find("key, headers and value agree", session.vehicle_id, now_ms, f"{record.key} {headers}")
        points = session.statistics.timeseries
        self._check_points(session, points)
        update = Update(
            head=structs.replace(session, statistics=structs.replace(session.statistics, timeseries=())),
            intervals=_intervals(session, points),
            version=headers.version,
            created_at=body.created_at,
            charging_event_id=headers.charging_event_id,
            represents=headers.represents_charging_event,
        )
        self._remember(update, session, now_ms)

    def _erase(self, session_id: SessionId, now_ms: int) -> None:
        vehicle_id = self._whose.pop(session_id, None)
        if vehicle_id is None:
            return
        ledger = self._cars[vehicle_id].ledger
        if self.is_adopting:
            ledger.forget(session_id)
        else:
            ledger.erase(session_id, moment(now_ms))

    def _remember(self, update: Update, session: Session, now_ms: int) -> None:
        """Hold it to the laws, or adopt it; a settled one is compared with the truth."""
        car = self._cars[session.vehicle_id]
        if self.is_adopting:
            car.ledger.adopt(update)
        else:
            car.ledger.take(update)
        if session.state is not SessionState.SETTLED:
            self._whose[session.id] = session.vehicle_id
            return
        self._whose.pop(session.id, None)
        if session.plugged_in_at is None or millis(session.plugged_in_at) >= self._from_ms:
            car.comparison.settled(session, now_ms)

    def _check_points(self, session: Session, points: Sequence[TimeseriesPoint]) -> None:
        for one, other in pairwise(points):
            if one.end_at != other.start_at or millis(one.end_at) % QUARTER_MS:
                detail = f"{session.id}: {one.end_at}, then {other.start_at}"
                self._find("intervals are contiguous on the grid", session.vehicle_id, millis(one.end_at), detail)

    def _take_command(self, record: OutputRecord, now_ms: int) -> ChargeCommand | None:
        if not self._naming.is_ours(record.key):
            return None
        try:
            said = _COMMAND.decode(record.value or b"")
        except msgspec.DecodeError as error:
            self._find(_UNREADABLE, VehicleId(record.key), now_ms, str(error))
            return None
        vehicle_id = self._naming.plain(said.vehicle_id)
        car = self._cars.get(vehicle_id)
        if car is None or said.vehicle_id != record.key:
            self._find("key, headers and value agree", vehicle_id, now_ms, record.key)
            return None
        self.commands += 1
        command = structs.replace(
            said,
            vehicle_id=vehicle_id,
            user_id=self._naming.plain(said.user_id),
            policy_id=self._naming.plain(said.policy_id),
        )
        # Two topics are read in no order between them: its session may not have been read yet, or be over by now.
        car.ledger.command(command, moment(now_ms), is_in_step=False)
        return command

    def _find(self, law: str, vehicle_id: VehicleId, now_ms: int, detail: str) -> None:
        self._report(Finding(law=law, vehicle_id=vehicle_id, at=moment(now_ms), detail=detail))


def _intervals(session: Session, points: Sequence[TimeseriesPoint]) -> ToldIntervals | None:
    started_at = session.plugged_in_at
    if started_at is None:
        return None
    return ToldIntervals(
        started_at=points[0].start_at if points else started_at,
        until=points[-1].end_at if points else started_at,
        energy_wh=tuple(round(point.kwh * 1_000) for point in points),
        levels=tuple(point.battery_level for point in points),
        count=len(points),
    )
