"""What a customer's XML makes a call do: documents, elements, the interpreter, and the driver that runs them.

`driver.py` and its parts (`plays`, `hearing`, `prompt`) await; `flows.py` starts them; the rest is pure. It must not
know SIP, SQL or HTTP. Open `port.py` first (what a call and its neighbours must offer), then `interpreter.py`.
"""
