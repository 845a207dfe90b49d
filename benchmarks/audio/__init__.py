"""Audio quality by measurement: codecs, rates, borders, lost packets, noise. Run by `make bench-audio`."""
