"""The composition root: builds the rooms, joins them and runs them. Start at `node`; `settings` hands out the settings.

Nothing but `cli` and `testing` may import it, and no rule of a room belongs here.
"""
