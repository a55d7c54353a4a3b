"""Reads identity, thresholds and settings of a battery after connecting.

A battery that was disconnected may have other firmware or settings. One that is
disconnected between polls is read once in METADATA_MAX_AGE, unless a change is pending.
"""

from __future__ import annotations

from dataclasses import replace
import logging

from homeassistant.core import callback

from ..connection.errors import OtherBatteryError, typed_errors
from ..const import MAX_DROPS_PER_READ, METADATA_MAX_AGE
from ..vlrv.errors import ConnectionLostError, VlrvError
from .access import BatteryAccess
from .info_store import InfoStore
from .operations import Operation
from .settings import CAN, RS485, SettingsCoordinator

_LOGGER = logging.getLogger(__name__)


class MetadataReader:
    """Reads the metadata of one battery in the background."""

    def __init__(
        self,
        access: BatteryAccess,
        info: InfoStore,
        settings: SettingsCoordinator,
    ) -> None:
        """Start with nothing read."""
        self._hass = access.hass
        self._entry = access.entry
        self._client = access.client
        self._connection = access.connection
        self._operations = access.operations
        self._guard = access.guard
        self._info = info
        self._settings = settings
        # Loop time of the last reading in s; None to read again in any case.
        self._read_at: float | None = None
        self._is_wanted = False
        self._is_identity_known = False
        # Reads during which the connection was lost: how often in a row, and when last.
        self._drops: dict[str, tuple[int, float]] = {}

    @callback
    def identity_known(self) -> None:
        """Leave the identity out of the next reading, as the config flow has read it."""
        self._is_identity_known = True

    @callback
    def request(self) -> None:
        """Read everything after the next sample, also without a new connection."""
        self._is_wanted = True

    @callback
    def invalidate(self) -> None:
        """Read everything again after the next connection."""
        self._read_at = None

    @callback
    def handle_connected(self) -> None:
        """Decide whether to read everything again on a new connection."""
        self._is_wanted = (
            self._read_at is None
            or bool(self._settings.pending)
            or self._hass.loop.time() - self._read_at
            >= METADATA_MAX_AGE.total_seconds()
        )

    @callback
    def handle_sample(self) -> None:
        """Start reading in the background if it is due, after the values of the poll."""
        if not self._is_wanted:
            return
        self._is_wanted = False
        self._read_at = self._hass.loop.time()
        self._entry.async_create_background_task(
            self._hass, self._async_read(), f"{self._client.name} - metadata"
        )

    async def _async_read(self) -> None:
        """Read identity, thresholds and settings, as far as the battery has them."""
        reads = [
            self._guard.async_read_identity,
            self._read_thresholds,
            self._read_settings,
            self._client.probe_status_length,
        ]
        if self._is_identity_known or self._guard.is_identity_read:
            self._is_identity_known = False
            reads.remove(self._guard.async_read_identity)
        try:
            async with self._connection.use():
                for read in reads:
                    if self._drops_connection(read.__name__):
                        continue
                    try:
                        async with self._operations.hold(Operation.METADATA):
                            with typed_errors("reading metadata"):
                                await read()
                    except ConnectionLostError:
                        self._record_drop(read.__name__)
                        raise
                    except OtherBatteryError:
                        raise  # nothing is learned from it
                    except VlrvError as err:
                        # Not every board has it, and no live value depends on it.
                        _LOGGER.debug(
                            "%s: %s: %s", self._client.name, read.__name__, err
                        )
                    self._drops.pop(read.__name__, None)
        except VlrvError as err:
            _LOGGER.debug("%s: %s", self._client.name, err)
            self.invalidate()  # read again with the next connection

    def _record_drop(self, read: str) -> None:
        """Count a connection that was lost during a read, unless it was released."""
        if not self._connection.is_released:
            count, _ = self._drops.get(read, (0, 0.0))
            self._drops[read] = (count + 1, self._hass.loop.time())

    def _drops_connection(self, read: str) -> bool:
        """Return whether a read drops the connection of this board.

        It is tried again after METADATA_MAX_AGE, as other firmware may support it.
        """
        count, when = self._drops.get(read, (0, 0.0))
        return (
            count >= MAX_DROPS_PER_READ
            and self._hass.loop.time() - when < METADATA_MAX_AGE.total_seconds()
        )

    async def _read_thresholds(self) -> None:
        thresholds = await self._client.read_thresholds()
        info = self._info.info
        self._info.update(replace(info, thresholds=thresholds or info.thresholds))

    async def _read_settings(self) -> None:
        settings = self._settings
        await settings.async_read()
        info = self._info.info
        self._info.update(
            replace(
                info,
                module_id=info.module_id or settings.module_id is not None,
                can_protocols=settings.codes(CAN) or info.can_protocols,
                rs485_protocols=settings.codes(RS485) or info.rs485_protocols,
            )
        )
