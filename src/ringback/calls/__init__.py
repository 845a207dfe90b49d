"""The call: what the customer bought, one `CallUUID`, one CDR.

Open `service` for what can be asked of calls, `live` for one call while it lasts, `state` for its table, `hangup` for
causes. Speaks neither SIP nor XML: legs come from `signalling`, documents are run by `callflow`.
"""
