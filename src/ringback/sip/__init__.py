"""SIP: messages, transactions, dialogs and calls (RFC 3261 and its relatives).

Everything but `transport/` is sans-IO: it takes messages, timers and verbs with `now`, and yields outputs. The room
never reads a message body, knows no codec, and never decides what a call is for; that is the work of `signalling`.

Open first: `message` (what a message is), `parser` (what is accepted and refused), `endpoint` (the whole user agent).
"""
