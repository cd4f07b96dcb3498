"""Tesla Fleet Telemetry to events, by hand-made lines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CaptureError
from ingest.files import Line
from ingest.records import InputRecord, Naming, Skipped
from ingest.tesla_fleet import observations, records
from models.ids import LocationId, UserId, VehicleId, is_id
from models.telemetry import ChargeSample, PlugEvent

VIN = "TESTVIN0000000001"
NO_NAMES = Naming()
BATTERY_SIDE = "DCChargingEnergyIn"


def line(second: int, vin: str = VIN, prefix: str = "", **fields: Any) -> bytes:
    data = [{"key": key, "value": value} for key, value in fields.items()]
    at = f"2025-03-01T10:{second // 60:02d}:{second % 60:02d}.123456789Z"
    return (prefix + json.dumps({"data": data, "createdAt": at, "vin": vin})).encode()


def text(value: str) -> dict[str, str]:
    return {"stringValue": value}


def detailed(value: str) -> dict[str, str]:
    return {"detailedChargeStateValue": f"DetailedChargeState{value}"}


def told(*lines: bytes, naming: Naming = NO_NAMES, skipped: Skipped | None = None) -> list[InputRecord]:
    numbered = [Line(raw, f"file:{number}") for number, raw in enumerate(lines, 1)]
    return list(records(observations(numbered, Skipped() if skipped is None else skipped), naming))


def samples(*lines: bytes, naming: Naming = NO_NAMES) -> list[ChargeSample]:
    return [record.message for record in told(*lines, naming=naming) if isinstance(record.message, ChargeSample)]


def plugs(*lines: bytes) -> list[tuple[int, bool | None]]:
    """(second, plugged in) of each plug event."""
    events = [record.message for record in told(*lines) if isinstance(record.message, PlugEvent)]
    return [(event.at.minute * 60 + event.at.second, event.is_plugged_in) for event in events]


def test_one_message_becomes_one_sparse_sample() -> None:
    """A sample holds what its message told, and nothing else."""
    sample = samples(line(5, prefix="01.03.2025 11:00:05 : #3[x]: *** FT: ", Soc=text("53.5")))[0]
    assert (sample.battery_level, sample.vehicle_id, sample.user_id) == (53.5, VIN, "capture-user")
    assert sample.at.isoformat() == "2025-03-01T10:00:05.123457+00:00"
    told_of_the_rest = (
        sample.is_plugged_in,
        sample.is_charging,
        sample.charge_rate,
        sample.energy_added,
        sample.power_delivery_state,
        sample.location_id,
    )
    assert told_of_the_rest == (None,) * 6


def test_a_message_without_a_relevant_field_tells_nothing() -> None:
    """Tyre pressures and fields without a value make no sample."""
    assert told(line(1, TpmsPressureFl=text("2.9"), Soc={"invalid": True}, DCChargingPower={}, Gear=text("P"))) == []


@pytest.mark.parametrize("value", [text("7.5"), {"doubleValue": 7.5}, {"floatValue": 7.5}])
def test_numbers_read_alike_in_old_and_new_captures(value: dict[str, Any]) -> None:
    """A number counts the same as text and as a typed value."""
    fields: dict[str, Any] = {BATTERY_SIDE: value}
    assert samples(line(1, **fields))[0].energy_added == 7.5


@pytest.mark.parametrize("value", [text("NaN"), text("1e999"), text("?"), {"booleanValue": True}, None, []])
def test_what_is_no_finite_number_is_no_news(value: object) -> None:
    """A number that cannot be read is left out, and the rest of its message stands."""
    sample = samples(line(1, Soc=value, ChargeLimitSoc={"intValue": 80}))[0]
    assert (sample.battery_level, sample.charge_limit) == (None, 80.0)


def test_the_counter_is_the_battery_side_in_ac_and_dc() -> None:
    """ACChargingEnergyIn never reaches energyAdded: a counter must not change sides."""
    assert [sample.energy_added for sample in samples(line(1, ACChargingEnergyIn=text("8.4"), Soc=text("50")))] == [
        None
    ]
    fields: dict[str, Any] = {BATTERY_SIDE: text("7.6"), "ACChargingEnergyIn": text("8.4")}
    assert samples(line(2, **fields))[0].energy_added == 7.6


@pytest.mark.parametrize(
    ("fast", "ac", "dc", "rate"),
    [
        ("true", None, "150", 150.0),
        ("true", "3", None, None),
        ("false", "11", "150", 11.0),
        (None, "11", "0", 11.0),
        (None, None, "0", None),
        (None, None, "150", 150.0),
    ],
)
def test_the_rate_is_taken_from_the_side_that_charges(
    fast: str | None, ac: str | None, dc: str | None, rate: float | None
) -> None:
    """Beside a fast charger the DC power counts, else the AC power; an idle side's zero is no news."""
    fields = {"FastChargerPresent": fast, "ACChargingPower": ac, "DCChargingPower": dc, "Soc": "50"}
    told_fields: dict[str, Any] = {key: text(value) for key, value in fields.items() if value is not None}
    assert samples(line(1, **told_fields))[0].charge_rate == rate


@pytest.mark.parametrize(
    ("word", "state", "plugged", "charging"),
    [
        ("Disconnected", "UNPLUGGED", False, False),
        ("NoPower", "PLUGGED_IN:NO_POWER", True, False),
        ("Starting", "PLUGGED_IN:INITIALIZING", True, None),
        ("Charging", "PLUGGED_IN:CHARGING", True, True),
        ("Complete", "PLUGGED_IN:COMPLETE", True, False),
        ("Stopped", "PLUGGED_IN:STOPPED", True, False),
        ("SomethingNew", "UNKNOWN", None, None),
    ],
)
def test_detailed_charge_state_names_the_state(
    word: str, state: str, plugged: bool | None, charging: bool | None
) -> None:
    """Each word of DetailedChargeState has its state, typed or as text; an unknown one is UNKNOWN."""
    for value in (detailed(word), text(word), text(f"DetailedChargeState{word}")):
        sample = samples(line(1, DetailedChargeState=value))[0]
        assert (sample.power_delivery_state, sample.is_plugged_in, sample.is_charging) == (state, plugged, charging)


def test_plug_events_stand_where_the_known_state_changes() -> None:
    """A visit is one plug-in and one plug-out, however often its states are told."""
    words = ("NoPower", "Starting", "Charging", "Charging", "Stopped", "Disconnected", "Disconnected")
    assert plugs(*(line(at, DetailedChargeState=detailed(word)) for at, word in enumerate(words))) == [
        (0, True),
        (5, False),
    ]


def test_the_first_unplugged_of_a_vehicle_is_no_plug_out() -> None:
    """A vehicle that was never seen plugged in cannot be unplugged."""
    assert plugs(line(1, DetailedChargeState=detailed("Disconnected")), line(2, FastChargerPresent=text("false"))) == []


def test_a_fast_charger_is_a_plug_while_it_is_there() -> None:
    """FastChargerPresent brackets a DC visit of a vehicle that tells no DetailedChargeState."""
    lines = (
        line(1, FastChargerPresent=text("false")),
        line(10, FastChargerPresent={"booleanValue": True}),
        line(12, ChargeState=text("Idle")),
        line(90, FastChargerPresent={"booleanValue": False}),
        line(95, DCChargingPower=text("3")),
    )
    assert plugs(*lines) == [(10, True), (90, False)]


def test_a_fast_charger_that_leaves_does_not_overrule_the_detailed_state() -> None:
    """While DetailedChargeState says plugged in, only it (or driving off) ends the visit."""
    lines = (
        line(1, FastChargerPresent=text("true"), DetailedChargeState=detailed("Charging")),
        line(60, FastChargerPresent=text("false")),
        line(70, DetailedChargeState=detailed("Disconnected")),
    )
    assert plugs(*lines) == [(1, True), (70, False)]


@pytest.mark.parametrize("word", ["Idle", "ClearFaults", "Standby", "Startup", "SystemConfig", "Enable"])
def test_converter_words_of_charge_state_prove_nothing(word: str) -> None:
    """The old ChargeState neither begins nor ends a visit."""
    assert plugs(line(1, ChargeState=text(word))) == []
    assert plugs(line(1, FastChargerPresent=text("true")), line(2, ChargeState=text(word))) == [(1, True)]


def test_power_is_a_plug() -> None:
    """A positive AC power begins a visit of a vehicle that tells no state."""
    assert plugs(line(1, ACChargingPower=text("0")), line(9, ACChargingPower=text("0.2"))) == [(9, True)]


def test_power_right_after_the_plug_went_out_is_old() -> None:
    """A power that follows a plug-out within 60 s is neither a plug-in nor a rate; a later one is both."""
    lines = (
        line(1, DetailedChargeState=detailed("Charging")),
        line(10, DetailedChargeState=detailed("Disconnected")),
        line(40, ACChargingPower=text("7")),
        line(100, ACChargingPower=text("7")),
    )
    assert plugs(*lines) == [(1, True), (10, False), (100, True)]
    assert [sample.charge_rate for sample in samples(*lines)] == [None, None, 7.0]


@pytest.mark.parametrize("gear", [text("D"), {"shiftStateValue": "ShiftStateR"}, text("N")])
def test_driving_off_is_a_plug_out_where_none_was_told(gear: dict[str, str]) -> None:
    """A vehicle in gear is unplugged, whatever it said before; power while driving is no plug."""
    lines = (
        line(1, DetailedChargeState=detailed("Stopped")),
        line(50, Gear=gear),
        line(200, DCChargingPower=text("9")),
        line(300, Gear=text("P")),
        line(400, Gear=gear),
    )
    assert plugs(*lines) == [(1, True), (50, False)]


def test_a_cable_and_the_port_door_bracket_a_visit() -> None:
    """A named cable is a plug; its absence, or a door that closes, ends the visit."""
    lines = (
        line(1, ChargingCableType={"cableTypeValue": "CableTypeIEC"}, ChargePortDoorOpen={"booleanValue": True}),
        line(9, ChargePortLatch={"chargePortLatchValue": "ChargePortLatchEngaged"}),
        line(30, ChargePortDoorOpen={"booleanValue": False}),
        line(60, ChargingCableType={"cableTypeValue": "CableTypeSAE"}),
        line(90, ChargingCableType={"cableTypeValue": "CableTypeSNA"}),
    )
    assert plugs(*lines) == [(1, True), (30, False), (60, True), (90, False)]


def test_battery_level_serves_only_until_a_soc_was_told() -> None:
    """BatteryLevel counts the reserve, so it is never mixed with Soc."""
    lines = (line(1, BatteryLevel=text("50")), line(2, Soc=text("48")), line(3, BatteryLevel=text("50")))
    assert [sample.battery_level for sample in samples(*lines)] == [50.0, 48.0]


def test_vehicles_are_kept_apart() -> None:
    """Each VIN has its own plug state."""
    lines = (
        line(1, vin="A", DetailedChargeState=detailed("Charging")),
        line(2, vin="B", DetailedChargeState=detailed("Charging")),
        line(3, vin="A", DetailedChargeState=detailed("Disconnected")),
    )
    keys = [(record.key, record.topic) for record in told(*lines)]
    assert keys == [(key, topic) for key in "ABA" for topic in ("vehicle.plug", "vehicle.charge")]


def test_a_name_for_one_vehicle_is_refused_for_two() -> None:
    """--vehicle never merges two vehicles into one."""
    with pytest.raises(CaptureError) as error:
        told(line(1, Soc=text("5")), line(2, vin="B", Soc=text("5")), naming=Naming(vehicle_id=VehicleId("car")))
    assert VIN in str(error.value)


def test_names_given_stand_on_every_event() -> None:
    """User, vehicle and location of the operator replace what the capture lacks."""
    naming = Naming(vehicle_id=VehicleId("car"), user_id=UserId("u"), location_id=LocationId("home"))
    for record in told(line(1, DetailedChargeState=detailed("Charging")), naming=naming):
        assert isinstance(record.message, PlugEvent | ChargeSample)
        assert (record.key, record.message.vehicle_id, record.message.user_id) == ("car", "car", "u")
        assert record.message.location_id == "home"


def test_event_ids_follow_from_the_line() -> None:
    """The same capture gives the same ids, all different, all within the alphabet, even for the longest vehicle id."""
    lines = [line(second, DetailedChargeState=detailed("Charging"), Soc=text(str(second))) for second in range(20)]
    naming = Naming(vehicle_id=VehicleId("v" * 64))

    def ids() -> list[str]:
        messages = [record.message for record in told(*lines, naming=naming)]
        return [each.event_id for each in messages if isinstance(each, PlugEvent | ChargeSample)]

    assert ids() == ids()
    assert len(set(ids())) == 21
    assert all(is_id(each) for each in ids())


def test_broken_lines_are_counted_with_their_reason() -> None:
    """What cannot be read is skipped, counted and located; blank lines are nothing."""
    skipped = Skipped()
    lines = (b"", b"   ", b"just a log line", line(1, Soc=text("5"))[:-9], line(1, vin="no id!", Soc=text("5")))
    assert told(*lines, line(9, Soc=text("7")), skipped=skipped)
    assert str(skipped) == (
        "3: broken message 1 (first file:4), no message 1 (first file:3), vin is no id 1 (first file:5)"
    )


@given(
    st.lists(st.binary(max_size=200) | st.binary(max_size=40).map(lambda raw: b'{"data":[{"key":"Soc","value":' + raw))
)
def test_no_bytes_crash_the_adapter(lines: list[bytes]) -> None:
    """Any bytes in a line are a message or a counted line, never a crash."""
    assert isinstance(told(*lines), list)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("stringValue", "doubleValue", "intValue", "invalid", "booleanValue")), inner)
    ),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    (
        "Soc", "BatteryLevel", "DetailedChargeState", "ChargeState", "FastChargerPresent", "Gear", "ACChargingPower",
        "DCChargingPower", "DCChargingEnergyIn", "ChargeLimitSoc", "ChargingCableType", "ChargePortDoorOpen",
    )
)  # fmt: skip


@given(st.lists(st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=20))
def test_no_value_crashes_the_adapter_and_plug_events_alternate(messages: list[dict[str, Any]]) -> None:
    """Whatever JSON stands for a value, a visit begins before it ends, and ends before the next begins."""
    found = [is_plugged_in for _, is_plugged_in in plugs(*(line(at, **each) for at, each in enumerate(messages)))]
    assert found == [index % 2 == 0 for index in range(len(found))]
