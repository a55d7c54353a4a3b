"""Firmware installation: checks before, transfer, and confirmation after the restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
import logging
from typing import Final

from homeassistant.core import CALLBACK_TYPE
from homeassistant.exceptions import HomeAssistantError

from ..connection import ReleasedError
from ..connection.errors import OtherBatteryError, as_vlrv_error, typed_errors
from ..const import ADVERTISEMENT_WAIT, DOMAIN
from ..localization import translations
from ..vlrv.errors import FirmwareError, FirmwareFailure, VlrvError
from ..vlrv.firmware import MAX_REQUEST_SIZE, RESTART_LIMIT
from ..vlrv.firmware_image import FirmwareImage
from .access import BatteryAccess
from .advertisement import LastAdvertisement
from .firmware_files import FirmwareStore, with_installed_hash
from .info_store import InfoStore
from .operations import Operation

_LOGGER = logging.getLogger(__name__)

BMS: Final = "bms"
COMM: Final = "comm"

# A battery that switches off during a transfer may be unusable afterwards.
MIN_STATE_OF_CHARGE: Final = 30  # %
MIN_SIGNAL: Final = -80  # dBm
RESTART_STEP: Final = 5.0  # s between two attempts to connect after the restart


_FAILURES: Final[tuple[tuple[FirmwareFailure, str], ...]] = (
    (FirmwareFailure.PACKAGE_TOO_LARGE, "firmware_small_packets"),
    (FirmwareFailure.NO_ANSWER, "firmware_no_answer"),
    (FirmwareFailure.CONNECTION_LOST, "firmware_connection_lost"),
    (FirmwareFailure.REFUSED, "firmware_refused"),
    (FirmwareFailure.BAD_REPLY, "firmware_bad_reply"),
    (FirmwareFailure.WRONG_PACKAGE, "firmware_wrong_package"),
    (FirmwareFailure.UNEXPECTED, "firmware_unexpected"),
)


def _failure_text(failed: FirmwareFailure) -> str:
    """Return the key of the text that tells the user why a transfer stopped."""
    for failure, text in _FAILURES:
        if failure is failed:
            return text
    raise ValueError(failed)


class FirmwareInstaller:
    """Installs firmware on one battery, one board at a time."""

    def __init__(
        self,
        access: BatteryAccess,
        info: InfoStore,
        advertisement: LastAdvertisement,
        on_restart: CALLBACK_TYPE,
    ) -> None:
        """Start without a transfer; `on_restart` is called when the battery restarts."""
        self._hass = access.hass
        self._entry = access.entry
        self._client = access.client
        self._connection = access.connection
        self._operations = access.operations
        self._guard = access.guard
        self._info = info
        self._advertisement = advertisement
        self._on_restart = on_restart
        self._finished = asyncio.Event()
        self._finished.set()
        # The whole image, by the installation that runs or ran last.
        self._is_sent = False
        self.store = FirmwareStore(access.hass, access.entry.entry_id)

    @property
    def is_running(self) -> bool:
        """Return whether a transfer is running, or the restart after it is awaited."""
        return self._operations.is_running(Operation.FIRMWARE)

    def check_not_running(self) -> None:
        """Raise HomeAssistantError while firmware is being installed."""
        if self.is_running:
            raise self._error("firmware_in_progress")

    async def async_install(
        self, component: str, progress: Callable[[int], None]
    ) -> None:
        """Transfer the uploaded file for a board; polling pauses meanwhile.

        Raises a translated HomeAssistantError if a check or the transfer fails.
        """
        try:
            await self._install(component, progress)
        except HomeAssistantError:
            raise
        except Exception as err:
            as_vlrv_error(err, "installing firmware")  # logs it
            key = "firmware_not_confirmed" if self._is_sent else "firmware_not_started"
            raise self._error(key) from err

    async def _install(self, component: str, progress: Callable[[int], None]) -> None:
        async with AsyncExitStack() as stack:
            if self._operations.is_wanted(Operation.FIRMWARE):
                raise self._error("firmware_in_progress")
            # After a change of a setting that has begun and needs the connection, too.
            await stack.enter_async_context(self._operations.hold(Operation.FIRMWARE))
            self._is_sent = False
            self._finished.clear()
            stack.callback(self._finished.set)
            image = await self._load(component)
            try:
                await stack.enter_async_context(
                    self._connection.use(max_wait=ADVERTISEMENT_WAIT)
                )
            except ReleasedError as err:
                raise self._error("firmware_released") from err
            except VlrvError as err:
                raise self._error("firmware_unreachable") from err
            await self._check()
            # An older reading may be out of date; not every battery has an identity.
            try:
                with typed_errors("reading the identity"):
                    await self._guard.async_read_identity()
            except OtherBatteryError as err:
                raise self._error("firmware_other_battery") from err
            except VlrvError as err:
                _LOGGER.debug("%s: no identity: %s", self._client.name, err)
            before = self._info.info.firmware
            unconfirmed: FirmwareError | None = None

            def show_progress(percent: int) -> None:
                # A number that cannot be shown does not stop a transfer.
                with (
                    suppress(VlrvError, HomeAssistantError),
                    typed_errors("showing the progress of an installation"),
                ):
                    progress(percent)

            try:
                async with self._connection.keep_adapter():
                    await self._client.transfer_firmware(image, show_progress)
            except FirmwareError as err:
                cause = err.__cause__
                if err.reason is FirmwareFailure.UNEXPECTED and isinstance(
                    cause, Exception
                ):
                    as_vlrv_error(cause, "transferring firmware")  # logs it
                if not err.may_restart:
                    raise self._error(
                        _failure_text(err.reason),
                        step=translations(self._hass).firmware_steps[err.step],
                        code="–" if err.code is None else str(err.code),
                    ) from err
                unconfirmed = err
            self._is_sent = True
            # A BMS that reports its old version may not have restarted yet.
            is_new = component == BMS and before != image.version
            await self._await_restart(before if is_new else None)
            is_reported = component == BMS and bool(before or self._info.info.firmware)
            if is_reported:
                self._compare(image, before)
            # Without the battery's answer only a new version confirms the installation.
            if unconfirmed and not (is_reported and is_new):
                raise self._error("firmware_not_confirmed") from unconfirmed
            if not is_reported:
                self._record_installed(image)

    async def async_finish(self) -> None:
        """Wait until no transfer is running and no restart is awaited."""
        await self._finished.wait()

    async def _load(self, component: str) -> FirmwareImage:
        """Return the uploaded file; raises HomeAssistantError without one."""
        options = self._entry.options
        if (image := await self.store.async_load(options, component)) is None:
            raise self._error("firmware_no_file")
        return image

    async def _check(self) -> None:
        """Raise HomeAssistantError unless charge, faults, signal and MTU allow a transfer."""
        try:
            with typed_errors("checking a battery before an installation"):
                await self._guard.async_check_battery()
                status = await self._client.read_status()
        except OtherBatteryError as err:
            raise self._error("firmware_other_battery") from err
        except VlrvError as err:
            raise self._error("firmware_unreachable") from err
        if status.state_of_charge < MIN_STATE_OF_CHARGE:
            raise self._error(
                "firmware_low_charge",
                charge=str(status.state_of_charge),
                wanted=str(MIN_STATE_OF_CHARGE),
            )
        if status.has_fault:
            raise self._error("firmware_protection")
        signal = self._advertisement.signal_strength
        if signal is None or signal < MIN_SIGNAL:
            raise self._error(
                "firmware_weak_signal",
                signal="?" if signal is None else str(signal),
                wanted=str(MIN_SIGNAL),
            )
        try:
            size = await self._client.measure_write_size()
        except VlrvError as err:
            raise self._error("firmware_unreachable") from err
        if size < MAX_REQUEST_SIZE:
            raise self._error("firmware_small_packets")

    async def _await_restart(self, old: str | None) -> None:
        """Wait until the battery has restarted and its identity can be read.

        With `old`, wait until the version differs from it, for RESTART_LIMIT s at most.
        Raises HomeAssistantError if the last attempt to read the identity failed.
        """
        loop = self._hass.loop
        self._on_restart()
        await self._client.disconnect()
        deadline = loop.time() + RESTART_LIMIT
        is_back = False
        # A connection that is closed, as when Home Assistant stops, is not restored.
        while loop.time() < deadline and not self._connection.is_closed:
            is_back = False
            await asyncio.sleep(RESTART_STEP)
            try:
                with typed_errors("waiting for a restart"):
                    await self._connection.async_connect()
                    await self._guard.async_read_identity()
            except VlrvError:
                continue
            is_back = True
            if self._info.info.firmware != old:
                break
        if not is_back:
            raise self._error("firmware_not_back", seconds=str(int(RESTART_LIMIT)))

    def _record_installed(self, image: FirmwareImage) -> None:
        """Store that a file is installed, where the battery does not report a version."""
        entry = self._entry
        self._hass.config_entries.async_update_entry(
            entry, options=with_installed_hash(entry.options, image)
        )

    def _compare(self, image: FirmwareImage, before: str) -> None:
        now = self._info.info.firmware
        if now != image.version:
            raise self._error(
                "firmware_same_version" if now == before else "firmware_other_version",
                version=now or translations(self._hass).versions["not_reported"],
                wanted=image.version,
            )

    def _error(self, key: str, **placeholders: str) -> HomeAssistantError:
        return HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={
                "name": self._client.name,
                **placeholders,
            },
        )
