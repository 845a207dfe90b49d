"""Speech in: what a caller said, found by a helper process in files of media workers. Read `recognizer` first."""
