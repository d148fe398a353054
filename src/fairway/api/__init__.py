"""Docker's Engine API, v1.24 to v1.51.

A request goes ``routing`` (path, version) → a handler in the file of its noun → ``decode``, ``bodies`` and
``filters`` (text to typed values) → one call of the engine behind ``backend`` → ``shapes`` (values to the
API's JSON) → ``replies``.
"""
