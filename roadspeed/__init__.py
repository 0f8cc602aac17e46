"""Speeds of roads from GPS trips: the application on `mapreduce`; see `roadspeed --help`."""
