"""Actions with which an administrator changes the simulated batteries.

Everything is an action, so that a user can try it under Developer tools and the
demo's check uses the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NamedTuple, get_args

import voluptuous as vol

from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service

from .const import DOMAIN
from .environment import SimulatedEnvironment
from .past import write_states
from simulator.bank import ParallelBank
from simulator.battery import HeaterAnswer, ReplayBattery, SimulatedBattery
from simulator.battery.causes import CAUSES, cause_fault, recover

CONF_ADDRESS: Final = "address"
CONF_ADVERTISE: Final = "advertise"
CONF_AMBIENT: Final = "ambient"
CONF_ANSWER: Final = "answer"
CONF_ATTRIBUTES: Final = "attributes"
CONF_CAPACITY: Final = "capacity"
CONF_CUT_OFF: Final = "cut_off"
CONF_DEMAND_CURRENT: Final = "demand_current"
CONF_ENTITY_ID: Final = "entity_id"
CONF_FAULT: Final = "fault"
CONF_FRAMES: Final = "frames"
CONF_HOLD: Final = "hold"
CONF_IDENTITY: Final = "identity"
CONF_LOOSE: Final = "loose"
CONF_MINUTES: Final = "minutes"
CONF_NAME: Final = "name"
CONF_OFF_FOR: Final = "off_for"
CONF_RESISTANCE: Final = "resistance"
CONF_SECONDS: Final = "seconds"
CONF_STATES: Final = "states"
CONF_TAKEN: Final = "taken"

NO_FAULT: Final = "none"
FAULTS: Final = (NO_FAULT, *CAUSES)
HEATER_ANSWERS: Final = get_args(HeaterAnswer.__value__)

type Response = dict[str, Any]


async def _list_batteries(
    environment: SimulatedEnvironment, _call: ServiceCall
) -> Response:
    return {
        "batteries": [
            environment.describe(item) for item in environment.peripherals.values()
        ],
        "bank": environment.describe_bank(),
    }


async def _set_surroundings(
    environment: SimulatedEnvironment, call: ServiceCall
) -> None:
    battery = environment.simulated(call.data[CONF_ADDRESS])
    if battery.bank is not None and CONF_DEMAND_CURRENT in call.data:
        raise ServiceValidationError(
            f"{battery.address} is in the bank: set the current of the bank"
        )
    battery.update()
    for key in (CONF_DEMAND_CURRENT, CONF_AMBIENT):
        if key in call.data:
            setattr(battery, key, call.data[key])
    # Protections follow at once, and the expected values with them.
    battery.advance(0)


async def _cause_fault(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    battery = environment.simulated(call.data[CONF_ADDRESS])
    if battery.bank is not None:
        raise ServiceValidationError(
            f"{battery.address} is in the bank, which decides on its current"
        )
    if (fault := call.data[CONF_FAULT]) == NO_FAULT:
        battery.update()
        recover(battery)
        battery.advance(0)
    else:
        cause_fault(battery, fault)


async def _exchange(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    battery = environment.simulated(call.data[CONF_ADDRESS])
    if battery.bank is not None:
        raise ServiceValidationError(
            f"{battery.address} is in the bank, whose batteries stay"
        )
    battery.update()
    battery.exchange(call.data[CONF_CAPACITY])


async def _take_by_app(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    await environment.take_by_app(call.data[CONF_ADDRESS], call.data[CONF_TAKEN])


async def _write_states(_environment: SimulatedEnvironment, call: ServiceCall) -> None:
    write_states(
        call.hass,
        call.data[CONF_ENTITY_ID],
        call.data[CONF_ATTRIBUTES],
        call.data[CONF_STATES],
    )


async def _advance(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    battery = environment.simulated(call.data[CONF_ADDRESS])
    battery.update()
    for _ in range(call.data[CONF_MINUTES]):
        battery.advance(60)
        # Hours take a moment, during which the batteries still reply.
        await asyncio.sleep(0)


async def _hold(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    for peripheral in environment.peripherals.values():
        if isinstance(battery := peripheral.battery, SimulatedBattery):
            battery.update()
            battery.hold = call.data[CONF_HOLD]


async def _drop_connection(
    environment: SimulatedEnvironment, call: ServiceCall
) -> None:
    environment.peripheral(call.data[CONF_ADDRESS]).drop_connection()


async def _advertise(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    peripheral = environment.peripheral(call.data[CONF_ADDRESS])
    if call.data[CONF_ADVERTISE]:
        await peripheral.advertise()
    else:
        await peripheral.silence()


async def _power_cycle(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    peripheral = environment.peripheral(call.data[CONF_ADDRESS])
    await peripheral.power_cycle(call.data[CONF_OFF_FOR])


async def _set_heater_answer(
    environment: SimulatedEnvironment, call: ServiceCall
) -> None:
    environment.simulated(call.data[CONF_ADDRESS]).settings.heater_answer = call.data[
        CONF_ANSWER
    ]


async def _set_restart_time(
    environment: SimulatedEnvironment, call: ServiceCall
) -> None:
    receiver = environment.simulated(call.data[CONF_ADDRESS]).firmware_receiver
    assert receiver is not None
    receiver.restart_for = call.data[CONF_SECONDS]


async def _replay(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    await environment.add(
        ReplayBattery(
            [bytes.fromhex(frame) for frame in call.data[CONF_FRAMES]],
            identity=bytes.fromhex(call.data.get(CONF_IDENTITY, "")) or None,
            name=call.data[CONF_NAME],
            address=call.data[CONF_ADDRESS],
        )
    )


async def _next_frame(environment: SimulatedEnvironment, call: ServiceCall) -> Response:
    battery = environment.replaying(call.data[CONF_ADDRESS])
    return {"moved": battery.next(), "frame": battery.current.hex()}


async def _add_bank(environment: SimulatedEnvironment, _call: ServiceCall) -> None:
    await environment.add_bank()


async def _set_bank_current(
    environment: SimulatedEnvironment, call: ServiceCall
) -> None:
    bank = environment.parallel()
    bank.update()
    bank.demand_current = call.data[CONF_DEMAND_CURRENT]
    # Protections follow at once, and the expected values with them.
    bank.advance(0)


def _member(
    environment: SimulatedEnvironment, call: ServiceCall
) -> tuple[ParallelBank, SimulatedBattery]:
    """Return the bank, up to date, and the battery in it that is meant."""
    bank = environment.parallel()
    battery = environment.simulated(call.data[CONF_ADDRESS])
    if battery.bank is not bank:
        raise ServiceValidationError(f"{battery.address} is not in the bank")
    bank.update()
    return bank, battery


async def _cut_off(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    bank, battery = _member(environment, call)
    (bank.cut_off if call.data[CONF_CUT_OFF] else bank.restore)(battery)


async def _loosen(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    bank, battery = _member(environment, call)
    (bank.loosen if call.data[CONF_LOOSE] else bank.fasten)(battery)


async def _weaken(environment: SimulatedEnvironment, call: ServiceCall) -> None:
    bank, battery = _member(environment, call)
    bank.weaken(
        battery,
        resistance=call.data[CONF_RESISTANCE],
        capacity=call.data[CONF_CAPACITY],
    )


class Action(NamedTuple):
    """One line of the table."""

    run: Callable[
        [SimulatedEnvironment, ServiceCall], Coroutine[Any, Any, Response | None]
    ]
    fields: dict[Any, Any]
    response: SupportsResponse = SupportsResponse.NONE


_ADDRESS: Final = {vol.Required(CONF_ADDRESS): vol.All(cv.string, vol.Upper)}
# An action multiplies by it; its reciprocal undoes that.
_FACTOR: Final = vol.All(vol.Coerce(float), vol.Range(min=0.05, max=20.0))

ACTIONS: Final = {
    "list_batteries": Action(_list_batteries, {}, SupportsResponse.ONLY),
    "set_surroundings": Action(
        _set_surroundings,
        {
            **_ADDRESS,
            vol.Optional(CONF_DEMAND_CURRENT): vol.Coerce(float),
            vol.Optional(CONF_AMBIENT): vol.Coerce(float),
        },
    ),
    "cause_fault": Action(
        _cause_fault, {**_ADDRESS, vol.Required(CONF_FAULT): vol.In(FAULTS)}
    ),
    "exchange": Action(
        _exchange,
        {
            **_ADDRESS,
            vol.Required(CONF_CAPACITY): vol.All(
                vol.Coerce(float), vol.Range(min=10, max=1000)
            ),
        },
    ),
    "take_by_app": Action(
        _take_by_app, {**_ADDRESS, vol.Required(CONF_TAKEN): cv.boolean}
    ),
    "write_states": Action(
        _write_states,
        {
            vol.Required(CONF_ENTITY_ID): cv.entity_id,
            vol.Required(CONF_ATTRIBUTES): dict,
            vol.Required(CONF_STATES): [
                vol.ExactSequence([vol.Coerce(float), cv.string])
            ],
        },
    ),
    "advance": Action(
        _advance,
        {
            **_ADDRESS,
            vol.Required(CONF_MINUTES): vol.All(
                vol.Coerce(int), vol.Range(min=1, max=1440)
            ),
        },
    ),
    "hold": Action(_hold, {vol.Required(CONF_HOLD): cv.boolean}),
    "drop_connection": Action(_drop_connection, _ADDRESS),
    "advertise": Action(
        _advertise, {**_ADDRESS, vol.Required(CONF_ADVERTISE): cv.boolean}
    ),
    "power_cycle": Action(
        _power_cycle,
        {**_ADDRESS, vol.Optional(CONF_OFF_FOR, default=5.0): vol.Coerce(float)},
    ),
    "set_heater_answer": Action(
        _set_heater_answer,
        {**_ADDRESS, vol.Required(CONF_ANSWER): vol.In(HEATER_ANSWERS)},
    ),
    "set_restart_time": Action(
        _set_restart_time,
        {
            **_ADDRESS,
            vol.Required(CONF_SECONDS): vol.All(vol.Coerce(float), vol.Range(min=0.1)),
        },
    ),
    "replay": Action(
        _replay,
        {
            **_ADDRESS,
            vol.Required(CONF_NAME): cv.string,
            vol.Required(CONF_FRAMES): [cv.string],
            vol.Optional(CONF_IDENTITY): cv.string,
        },
    ),
    "next_frame": Action(_next_frame, _ADDRESS, SupportsResponse.OPTIONAL),
    "add_bank": Action(_add_bank, {}),
    "set_bank_current": Action(
        _set_bank_current, {vol.Required(CONF_DEMAND_CURRENT): vol.Coerce(float)}
    ),
    "cut_off": Action(_cut_off, {**_ADDRESS, vol.Required(CONF_CUT_OFF): cv.boolean}),
    "loosen": Action(_loosen, {**_ADDRESS, vol.Required(CONF_LOOSE): cv.boolean}),
    "weaken": Action(
        _weaken,
        {
            **_ADDRESS,
            vol.Optional(CONF_RESISTANCE, default=1.0): _FACTOR,
            vol.Optional(CONF_CAPACITY, default=1.0): _FACTOR,
        },
    ),
}


def register_actions(hass: HomeAssistant) -> None:
    """Register the actions, for administrators only."""

    async def handle(action: Action, call: ServiceCall) -> Response | None:
        entry = hass.config_entries.async_loaded_entries(DOMAIN)[0]
        return await action.run(entry.runtime_data, call)

    for name, action in ACTIONS.items():
        async_register_admin_service(
            hass,
            DOMAIN,
            name,
            partial(handle, action),
            # At run time Home Assistant has its own engine behind this name.
            schema=vol.Schema(action.fields),  # type: ignore[arg-type]
            supports_response=action.response,
        )
