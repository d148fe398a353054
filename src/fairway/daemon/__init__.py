"""The daemon: configuration, wiring, listeners, signals. Imported by nothing."""
