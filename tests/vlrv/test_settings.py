"""Settings are written and read byte for byte as protocol chapters 7 and 8 say."""

from __future__ import annotations

from hypothesis import example, given, settings, strategies as st
import pytest

from .captures import Capture, capture, captures, needs_captures
from custom_components.voltgo_vlrv.vlrv.frames import settings_request
from custom_components.voltgo_vlrv.vlrv.settings import (
    GET_CAN,
    GET_MODULE_ID,
    GET_RS485,
    INVERTER_BRANDS,
    MODULE_IDS,
    NAME_MAX,
    SET_CAN,
    SET_HEATER,
    SET_MODULE_ID,
    SET_NAME,
    SET_RS485,
    STATUS_BYTE,
    STATUS_REPLY_LENGTH,
    SUCCESS,
    ProtocolList,
    brand_names,
    decode_module_id,
    decode_protocols,
    set_heater,
    set_module_id,
    set_name,
    set_protocol,
)
from simulator.battery import (
    CAN_PROTOCOLS,
    RS485_PROTOCOLS,
    SimulatedBattery,
    crc16,
    settings_frame,
)

quick = settings(max_examples=200, deadline=None, derandomize=True)

BIGBATTERY = "BB-51.2V100Ah-0855"
# Manual 6.1, in its order.
CAN_BRANDS = (
    "Growatt", "Sol-Ark", "Deye", "Megarevo", "Victron", "Luxpower", "SMA",
    "Inhenergy", "Solis", "Afore", "Studer",
)  # fmt: skip
RS485_BRANDS = ("Growatt", "Luxpower", "Schneider", "Inhenergy", "Voltronic")


def protocol_list(
    data: bytes, function: int = GET_CAN, *, length: int | None = None
) -> bytes:
    """Return a reply with this data, whatever it is worth, and a valid checksum."""
    size = len(data) if length is None else length
    body = bytes((0x10, function, size)) + data
    return body + crc16(body)


# Requests


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (GET_MODULE_ID, "1002007165"),
        (GET_RS485, "10030070f5"),
        (GET_CAN, "10040072c5"),
    ],
)
def test_get_request_is_as_documented(function: int, expected: str) -> None:
    """Protocol 7, graded A."""
    assert settings_request(function) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (set_module_id(1), "100701017575"),
        (set_module_id(2), "100701023574"),
        (set_module_id(5), "1007010574b6"),
        (set_protocol(SET_RS485, 0), "100501001575"),
        (set_protocol(SET_RS485, 1), "10050101d4b5"),
        (set_protocol(SET_RS485, 2), "1005010294b4"),
        (set_protocol(SET_CAN, 0), "10060100e575"),
        (set_protocol(SET_CAN, 5), "100601052576"),
        (set_heater(True), "100a0101e4b6"),
        (set_heater(False), "100a01002576"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_set_request_is_as_documented(request_bytes: bytes, expected: str) -> None:
    """Recorded ones (A) and the heater's of protocol 8 (C)."""
    assert request_bytes == bytes.fromhex(expected)


@needs_captures
@pytest.mark.parametrize(
    "entry", captures("settings-request"), ids=lambda entry: entry.data.hex()
)
def test_set_request_that_was_recorded_is_built_the_same(entry: Capture) -> None:
    """The vendor's app sent the same bytes."""
    function, data = entry.data[1], entry.data[3:-2]
    builders = {
        SET_MODULE_ID: lambda: set_module_id(data[0]),
        SET_RS485: lambda: set_protocol(SET_RS485, data[0]),
        SET_CAN: lambda: set_protocol(SET_CAN, data[0]),
    }
    build = builders.get(function, lambda: settings_request(function))
    assert build() == entry.data


@pytest.mark.parametrize("module_id", MODULE_IDS)
def test_module_id_of_each_number_is_one_byte(module_id: int) -> None:
    """1-16, as it is."""
    assert set_module_id(module_id) == settings_frame(0x07, bytes((module_id,)))


@pytest.mark.parametrize("module_id", [-1, 0, 17, 255, 256])
def test_module_id_out_of_range_is_not_built(module_id: int) -> None:
    """Protocol 7: 1-16."""
    with pytest.raises(ValueError, match="module ID"):
        set_module_id(module_id)


@pytest.mark.parametrize("function", [SET_CAN, SET_RS485])
@pytest.mark.parametrize("index", [-1, 256])
def test_protocol_index_out_of_range_is_not_built(function: int, index: int) -> None:
    """It is one byte on the wire."""
    with pytest.raises(ValueError, match="byte"):
        set_protocol(function, index)


@pytest.mark.parametrize("name", ["A", "Grandma 2", " ~", "x" * 22, "ZT-25.6V100Ah-1"])
def test_name_is_sent_without_padding(name: str) -> None:
    """Protocol 7, C."""
    assert set_name(name) == settings_frame(0x09, name.encode("ascii"))


@quick
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30))
def test_name_of_1_to_22_characters_is_valid(name: str) -> None:
    """Manual 6.4."""
    if 1 <= len(name) <= 22:
        assert set_name(name) == settings_frame(0x09, name.encode("ascii"))
    else:
        with pytest.raises(ValueError, match="1-22"):
            set_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 23,
        "Büro",
        "van\n",
        "van\0",
        "\t",
        "van\x7f",
        "\U0001f50b",
        "\uff56\uff41\uff4e",
        "a\u200bb",
    ],
)
def test_name_with_other_characters_is_not_built(name: str) -> None:
    """Printable ASCII only."""
    with pytest.raises(ValueError, match="printable ASCII"):
        set_name(name)


def test_settings_functions_are_those_of_the_table() -> None:
    """Protocol 7; 0x10 is no Modbus function here."""
    assert (GET_MODULE_ID, GET_RS485, GET_CAN) == (0x02, 0x03, 0x04)
    assert (SET_RS485, SET_CAN, SET_MODULE_ID) == (0x05, 0x06, 0x07)
    assert (SET_NAME, SET_HEATER) == (0x09, 0x0A)
    assert NAME_MAX == 22
    assert list(MODULE_IDS) == list(range(1, 17))


# Replies


@pytest.mark.parametrize(
    ("reply", "success"),
    [
        ("10070100b4b5", True),
        ("100501001575", True),
        ("10060100e575", True),
        ("100a01002576", True),
        ("10050101d4b5", False),
    ],
)
def test_set_reply_result_is_decoded(reply: str, success: bool) -> None:
    """`10 func 01 ee crc`, 00 success and 01 refused."""
    frame = bytes.fromhex(reply)
    assert len(frame) == STATUS_REPLY_LENGTH
    assert (frame[STATUS_BYTE] == SUCCESS) is success


@needs_captures
def test_set_reply_that_was_recorded_is_decoded() -> None:
    """Three successes and a refusal."""
    results = {
        frame.data.hex(): frame.data[STATUS_BYTE]
        for frame in captures("settings-response")
        if frame.data[1] in {SET_CAN, SET_RS485, SET_MODULE_ID}
    }
    assert results == {
        "10070100b4b5": SUCCESS,
        "10050101d4b5": 1,
        "100501001575": SUCCESS,
        "10060100e575": SUCCESS,
    }


def test_set_reply_of_success_equals_a_request_for_index_0() -> None:
    """Protocol 2.3: so an echo would pass for a confirmation."""
    assert set_protocol(SET_CAN, 0) == settings_frame(SET_CAN, bytes((SUCCESS,)))
    assert set_protocol(SET_RS485, 0) == settings_frame(SET_RS485, bytes((SUCCESS,)))
    assert set_heater(False) == settings_frame(SET_HEATER, bytes((SUCCESS,)))


@pytest.mark.parametrize("module_id", MODULE_IDS)
def test_module_id_reply_is_decoded(module_id: int) -> None:
    """`10 02 01 ID crc`."""
    assert decode_module_id(settings_frame(0x02, bytes((module_id,)))) == module_id


@needs_captures
def test_module_id_reply_that_was_recorded_is_decoded() -> None:
    """1 and 2."""
    assert decode_module_id(capture("settings-response", "module id = 1")) == 1
    assert decode_module_id(capture("settings-response", "module id = 2")) == 2


@pytest.mark.parametrize("data", ["00", "11", "ff", "0101", "010203"])
def test_module_id_reply_out_of_range_is_refused(data: str) -> None:
    """Also where the checksum is right."""
    with pytest.raises(ValueError, match="module ID"):
        decode_module_id(settings_frame(0x02, bytes.fromhex(data)))


# Lists


@needs_captures
@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("get CAN protocol: selected index 0", ProtocolList(0, CAN_PROTOCOLS)),
        ("get CAN protocol: selected index 5", ProtocolList(5, CAN_PROTOCOLS)),
        ("get RS485 protocol: selected index 0", ProtocolList(0, RS485_PROTOCOLS)),
        ("get RS485 protocol: selected index 1", ProtocolList(1, RS485_PROTOCOLS)),
    ],
)
def test_protocol_list_that_was_recorded_is_decoded(
    note: str, expected: ProtocolList
) -> None:
    """The order is the manual's."""
    assert decode_protocols(capture("settings-response", note, BIGBATTERY)) == expected


@pytest.mark.parametrize("index", range(len(CAN_PROTOCOLS)))
def test_protocol_list_of_the_simulator_is_decoded(index: int) -> None:
    """0-based index, count, names of 10 bytes."""
    pack = SimulatedBattery(can_index=index, rs485_index=index % 5)
    can = pack.handle(settings_request(GET_CAN))
    rs485 = pack.handle(settings_request(GET_RS485))
    assert can is not None
    assert rs485 is not None
    assert decode_protocols(can) == ProtocolList(index, CAN_PROTOCOLS)
    assert decode_protocols(rs485) == ProtocolList(index % 5, RS485_PROTOCOLS)


def test_protocol_list_that_is_empty_is_valid() -> None:
    """A ZT of 2024 has no RS485 protocols: length 2, index and count 0."""
    assert decode_protocols(protocol_list(b"\0\0", GET_RS485)) == ProtocolList(0, ())


def test_protocol_list_of_one_is_valid() -> None:
    """And one on CAN: length 0x0C."""
    frame = protocol_list(b"\0\x01P01-GRW\0\0\0")
    assert frame[2] == 0x0C
    assert decode_protocols(frame) == ProtocolList(0, ("P01-GRW",))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"P01-GRW\0\0\0", "P01-GRW"),
        (b"P01-GRW   ", "P01-GRW"),
        (b"P13-ABCDEF", "P13-ABCDEF"),
        (b"P01\0-GRW\0\0", "P01-GRW"),
        (b"P01-\xffGRW\0\0", "P01-GRW"),
        (b"\0" * 10, ""),
    ],
)
def test_protocol_name_with_filler_is_decoded(raw: bytes, name: str) -> None:
    """NUL is filler and may be inside, as in the model."""
    assert decode_protocols(protocol_list(b"\0\x01" + raw)).names == (name,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\x01",
        b"\0\x01P01-GRW",  # 7 of 10 bytes
        b"\0\x02" + b"P01-GRW\0\0\0",  # one of two
        b"\0\x01" + b"P01-GRW\0\0\0" * 2,  # two of one
        b"\0\0" + b"P01-GRW\0\0\0",
        b"\x01\x01" + b"P01-GRW\0\0\0",  # the second of one
        b"\xff\x01" + b"P01-GRW\0\0\0",
    ],
    ids=lambda data: data.hex() or "empty",
)
def test_protocol_list_that_contradicts_itself_is_refused(data: bytes) -> None:
    """A wrong list would offer to write a wrong index."""
    with pytest.raises(ValueError, match="list of protocols"):
        decode_protocols(protocol_list(data))


@quick
@given(st.binary(max_size=255))
def test_protocol_list_of_any_data_is_consistent_or_refused(data: bytes) -> None:
    """Nothing in between, and no other exception."""
    try:
        protocols = decode_protocols(protocol_list(data))
    except ValueError:
        return
    assert len(data) == 2 + 10 * len(protocols.names)
    assert protocols.selected < len(protocols.names) or not protocols.names


# Brands


def test_brands_of_the_recorded_lists_are_those_of_the_manual() -> None:
    """Manual 6.1, in its order."""
    assert brand_names(CAN_PROTOCOLS) == CAN_BRANDS
    assert brand_names(RS485_PROTOCOLS) == RS485_BRANDS


def test_brand_is_found_by_code_and_not_by_number() -> None:
    """P02 is Sol-Ark on CAN and Luxpower on RS485."""
    assert brand_names(("P02-SLK", "P02-LUX")) == ("Sol-Ark", "Luxpower")
    assert brand_names(("P07-VCT", "P99-GRW")) == ("Victron", "Growatt")


def test_brand_of_a_code_never_recorded_is_found_by_number() -> None:
    """The manual's twelfth on CAN; the code stays beside it, as it may be another."""
    assert brand_names(("P12-NOA",)) == ("NOARK (P12-NOA)",)
    assert brand_names(("P01-GRW", "P12-PYL")) == ("Growatt", "NOARK (P12-PYL)")
    assert brand_names(("P12-GRW",)) == ("Growatt",)
    assert brand_names(("P12",)) == ("NOARK (P12)",)


@pytest.mark.parametrize("code", ["P13-XYZ", "P01GRW", "P01-grw", "P01-", "-"])
def test_brand_of_an_unknown_code_is_the_code(code: str) -> None:
    """A guess would be worse."""
    assert brand_names((code,)) == (code,)


def test_brand_that_is_listed_twice_is_distinct() -> None:
    """Else the second could not be chosen."""
    codes = ("P01-GRW", "P14-GRW", "P15-GRW", "P13-XYZ")
    assert brand_names(codes) == (
        "Growatt",
        "Growatt (P14-GRW)",
        "Growatt (P15-GRW)",
        "P13-XYZ",
    )


@quick
@given(
    st.lists(
        st.sampled_from((*CAN_PROTOCOLS, *RS485_PROTOCOLS, "P13-XYZ")), unique=True
    )
)
def test_brands_of_different_codes_are_distinct(codes: list[str]) -> None:
    """A choice is an index: as many names as codes, each once."""
    names = brand_names(tuple(codes))
    assert len(names) == len(codes)
    assert len(set(names)) == len(names)


# What a list may hold that was made to be mistaken: codes that look like labels.
labels = st.recursive(
    st.sampled_from(("A", "", "P01-GRW", "P14-GRW", "Growatt", "P01", "#2")),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]} ({pair[1]})"),
        st.tuples(inner, st.integers(1, 9)).map(lambda pair: f"{pair[0]} (#{pair[1]})"),
    ),
    max_leaves=4,
)


@quick
@given(st.lists(labels, max_size=25))
@example(["A", "A (A)", "A (#4)", "A"])
@example(["A", "A (A)", "A (#4)", "A", "A (#5)", "A"])
def test_labels_of_any_list_are_distinct(codes: list[str]) -> None:
    """A missing one would shift the indices: another brand would be written."""
    names = brand_names(tuple(codes))
    assert len(names) == len(codes)
    assert len(set(names)) == len(names)
    assert all(names)


def test_label_of_a_code_that_is_listed_twice_is_distinct() -> None:
    """Else the select has one option twice, and the second index cannot be chosen."""
    names = brand_names(("P01-GRW", "P01-GRW", "P01-GRW"))
    assert len(set(names)) == 3


def test_label_of_an_empty_name_is_not_empty() -> None:
    """A list may hold places that are not used; a blank cannot be chosen."""
    assert all(brand_names(("P01-GRW", "")))


def test_brand_table_contains_each_brand_once() -> None:
    """Codes and names both."""
    assert len({brand.code for brand in INVERTER_BRANDS}) == len(INVERTER_BRANDS)
    assert len({brand.name for brand in INVERTER_BRANDS}) == len(INVERTER_BRANDS)
    assert {brand.name for brand in INVERTER_BRANDS} == {
        *CAN_BRANDS,
        *RS485_BRANDS,
        "NOARK",
    }
