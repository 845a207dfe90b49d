"""SIP: messages, transactions, dialogs and the INVITE usage, without I/O; `transport` is the only part with sockets.

Must not know calls, accounts or audio, and carries SDP bodies unread. Open `endpoint.py` first: its verbs and events
are what the rooms above use.
"""
