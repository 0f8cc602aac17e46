"""One host over SSH, as OpenSSH would reach it, within deadlines: connect, ask, tunnel.

A host's key must be known before it is spoken to (`known_hosts`, `host_keys`).
"""
