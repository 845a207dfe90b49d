"""What a leg hears, told apart: speech and silence, and the beep of a voicemail.

Pure, and run only while somebody asked. Read `listener` first.
"""
