"""Legs and what makes them: one SIP dialog and one media session each, joined and taken apart together.

Must not know calls, documents or customers. Open `legs.py` for the registry, `leg.py` for the state table,
`sip_leg.py` for the driver of one leg, `events.py` for what an owner is told.
"""
