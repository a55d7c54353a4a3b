"""Makes sure that the connected battery is the one of the entry."""

from __future__ import annotations

from homeassistant.core import callback

from ..connection.errors import OtherBatteryError
from ..const import MAX_DROPS_PER_READ
from ..vlrv.client import VlrvClient
from ..vlrv.errors import ConnectionLostError, NoAnswerError, RefusedError
from ..vlrv.registers import BatteryStatus
from .identity_check import is_proof
from .info_store import InfoStore


class IdentityGuard:
    """Checks samples and serial numbers, before a sample is used or a setting written.

    The serial number is read where it can prove something: once after the battery was
    disconnected, and on each connection that something is written on.
    """

    def __init__(self, client: VlrvClient, info: InfoStore) -> None:
        """Start with nothing checked."""
        self._client = client
        self._info = info
        # Numbers of the connections on which these were checked last.
        self._status_on = 0
        self._identity_on = 0
        self._all_on = 0
        self._is_serial_due = True
        # Connections in a row that were lost while a poll read the identity.
        self._drops = 0

    @property
    def _connection_number(self) -> int:
        return self._client.counters.connects

    @property
    def is_identity_read(self) -> bool:
        """Return whether the identity was read on this connection."""
        return self._identity_on == self._connection_number

    @property
    def is_checked(self) -> bool:
        """Return whether `async_check_battery` has passed on this connection."""
        return self._all_on == self._connection_number

    @callback
    def handle_disconnected(self) -> None:
        """Handle a missing connection: the battery may be exchanged meanwhile."""
        self._is_serial_due = True

    @callback
    def handle_identity_known(self) -> None:
        """Handle an identity that was read a moment ago."""
        self._is_serial_due = False

    def check_status(self, status: BatteryStatus) -> None:
        """Raise OtherBatteryError for a sample of another battery."""
        self._status_on = self._connection_number
        self._info.check_status(status)

    async def async_read_identity(self) -> None:
        """Read model, firmware and serial number, and store them.

        Raises VlrvError, OtherBatteryError for the serial number of another battery.
        """
        number = self._connection_number
        identity = await self._client.read_identity()
        self._identity_on = number
        self._is_serial_due = False
        self._drops = 0
        self._info.check_identity(identity)
        self._info.update(self._info.info.with_identity(identity))

    async def async_check_serial(self) -> None:
        """Check the serial number after a disconnection, before a sample is used.

        A battery that does not answer is accepted; one that disconnects when it is asked
        is asked no more. Raises ConnectionLostError or OtherBatteryError.
        """
        if (
            not self._is_serial_due
            or self._drops >= MAX_DROPS_PER_READ
            or not is_proof(self._info.info.serial)
        ):
            return
        try:
            await self.async_read_identity()
        except NoAnswerError, RefusedError:
            self._is_serial_due = False
        except ConnectionLostError:
            self._drops += 1
            raise

    async def async_check_battery(self) -> None:
        """Check sample and serial number of this connection, before a write.

        Raises VlrvError, OtherBatteryError for another battery.
        """
        number = self._connection_number
        if self._status_on != number:
            self.check_status(await self._client.read_status())
        if not self.is_identity_read and is_proof(self._info.info.serial):
            await self.async_read_identity()
        if self._info.has_other_battery:
            raise OtherBatteryError
        self._all_on = number
