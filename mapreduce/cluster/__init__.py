"""The engine over SSH, in rooms of its own: see ARCHITECTURE.md, and each room's `__init__`."""
