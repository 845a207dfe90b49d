"""Phone numbers, trunks, and the way from a called number to an application. Open `routing.py` first."""
