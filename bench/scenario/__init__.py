"""What a run asks of the database: TOML text to model to schedule.  Pure: no I/O, no clock, randomness by seed."""
