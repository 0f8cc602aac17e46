"""The commands of `roadspeed roads`, one per file."""
