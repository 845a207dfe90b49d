"""The one door to customers' URLs: which addresses may be reached, and the HTTP client that reaches only those.

No other room opens a socket to an address that a customer chose. Open `policy.py` first, then `http.py`.
"""
