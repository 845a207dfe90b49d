"""Session descriptions (RFC 8866) and offer/answer (RFC 3264), pure.

Must not know SIP, calls or media types. Open `negotiate.py` for the rules, `session.py` for the model.
"""
