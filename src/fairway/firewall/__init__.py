"""What packets may do, as data: the base ruleset (text, written once) and the elements that networks add."""
