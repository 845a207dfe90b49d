"""The recognising process: reads utterances line by line and answers each with a text."""
