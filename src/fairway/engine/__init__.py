"""The verbs: create, connect, disconnect, start, stop, remove, restore. The engine owns all state."""
