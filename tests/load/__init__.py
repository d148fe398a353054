"""Many clients at once, for long: what they are told, how long they wait, what is left when they are gone."""
