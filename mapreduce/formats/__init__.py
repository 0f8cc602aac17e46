"""Bytes to numpy columns: which formats are read, which fields are wanted, what is dropped and why.

A new format, field type or reason for dropping a record goes here. Pure: bytes come in, columns go
out, nothing is opened. Jobs and attempts use it; it uses `tables` and the words at the top.
"""
