"""Exceptions that exist today. A check fails when a line here is no longer needed."""

IMPORTS: list[str] = []
SIZES: list[str] = []
WORDS: list[str] = [
    "blueprints/automation/voltgo_vlrv/cell_imbalance.yaml",
    "blueprints/automation/voltgo_vlrv/cold_charge_guard.yaml",
    "blueprints/automation/voltgo_vlrv/low_state_of_charge.yaml",
    "blueprints/automation/voltgo_vlrv/preheat_before_departure.yaml",
]
