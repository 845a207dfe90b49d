"""RTP as bytes and rules: packets, the reorder window, source latching, telephone events. No socket, no clock.

Open `packet` first, then `latch` for why a packet was refused.
"""
