"""What a customer's XML makes a call do: documents, elements, the interpreter, and the driver that runs them.

Only `driver.py` awaits anything; the rest is pure. It must not know SIP, SQL or HTTP. Open `port.py` first (what a call
and its neighbours must offer), then `interpreter.py`.
"""
