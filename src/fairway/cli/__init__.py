"""The ``fairway`` command: arguments → HTTP → tables, in the grammar of the ``docker`` command.

``tree`` lists the commands; ``main`` finds the one asked for and imports only its module; ``flags`` parses,
``usage`` explains, ``exits`` turns errors into texts and exit codes. Everything else is one command group a
file.
"""
