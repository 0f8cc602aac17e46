"""Bad input by format: what each object holds, and what must become of it."""
