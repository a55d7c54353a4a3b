"""The language of Voltgo VLRV batteries over Bluetooth LE.

Nothing in here knows Home Assistant. Bytes become values in `frames` and `registers`,
the link is in `client`. Every field carries the grade of its evidence: A seen in
recordings of real batteries, B a vendor document or another driver, C inferred.
"""
