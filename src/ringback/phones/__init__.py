"""Virtual callers: real SIP phones built from `sip`, `sdp` and `media.session`, in a process of their own.

They know the platform by the wire only: what they measure, a real caller would hear. Open `phone` for the phone, `main`
for a scripted call, `checks` for what is measured.
"""
