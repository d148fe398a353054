"""Go's text/template, as far as ``--format`` uses it: text and data in, text out, nothing else touched.

Scripts written for Docker carry templates, so the language has to be the same one, down to its error texts.
``lexer`` cuts the source into tokens, ``parser`` builds nodes, ``evaluator`` walks them over data, ``values``
knows how Go prints and compares, ``functions`` holds the built-ins and Docker's own (``json``, ``join`` …).

Left out, because a one-line format cannot use them: ``define``, ``block``, ``template`` and ``call``.
Source: https://pkg.go.dev/text/template and docker/cli's ``templates`` package.
"""

from fairway.cli.template.evaluator import Template, TemplateFailed
from fairway.cli.template.lexer import TemplateSyntax
from fairway.cli.template.values import Nil, Record, Struct

__all__ = ["Nil", "Record", "Struct", "Template", "TemplateFailed", "TemplateSyntax"]
