"""Speech out: what a text or SSML means, which voice says it, and the process that turns it into files."""
