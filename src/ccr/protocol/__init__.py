"""The wire formats and the conversions between them: no clock, no I/O, no log, no config."""
