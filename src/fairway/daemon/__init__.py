"""``fairwayd``: options, wiring of all parts, listeners, and an orderly end."""
