"""Writes states of the past into the recorder's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
from typing import Any

from sqlalchemy import insert

from homeassistant.components.recorder import Recorder, get_instance
from homeassistant.components.recorder.db_schema import (
    StateAttributes,
    States,
    StatesMeta,
)
from homeassistant.components.recorder.tasks import RecorderTask
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import session_scope


@dataclass(slots=True)
class WriteStates(RecorderTask):
    """Writes states of one entity; times are in seconds since 1970, in order."""

    entity_id: str
    attributes: Mapping[str, Any]
    states: Sequence[tuple[float, str]]

    def run(self, instance: Recorder) -> None:
        """Write them, in the thread of the recorder."""
        with session_scope(session=instance.get_session()) as session:
            known = instance.states_meta_manager.get(self.entity_id, session, True)
            meta = StatesMeta(entity_id=self.entity_id)
            text = json.dumps(self.attributes)
            shared = StateAttributes(
                shared_attrs=text,
                hash=StateAttributes.hash_shared_attrs_bytes(text.encode()),
            )
            session.add_all([shared] if known is not None else [meta, shared])
            session.flush()
            session.execute(
                insert(States),
                [
                    {
                        "metadata_id": meta.metadata_id if known is None else known,
                        "attributes_id": shared.attributes_id,
                        "state": state,
                        "last_updated_ts": time,
                        "origin_idx": 0,
                    }
                    for time, state in self.states
                ],
            )
            # History asks for no time before the oldest state that it knows of.
            instance.states_manager.load_from_db(session)


def write_states(
    hass: HomeAssistant,
    entity_id: str,
    attributes: Mapping[str, Any],
    states: Sequence[tuple[float, str]],
) -> None:
    """Have the recorder write states of an entity, after what it has to write already."""
    get_instance(hass).queue_task(WriteStates(entity_id, attributes, states))
