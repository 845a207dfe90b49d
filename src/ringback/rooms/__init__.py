"""What conferences and multiparty calls have in common: sounds and audio of calls that are in one room, its recording.

It knows no rules: who enters, who hears whom and when it ends is decided by the rooms above. Open `stage` first.
"""
