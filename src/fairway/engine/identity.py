"""Ids and generated names. Randomness is passed in."""

from collections.abc import Callable
from random import Random

_ADJECTIVES = """able amber ample brave breezy bright brisk calm candid clever cosy crisp daring deft eager
early fair fleet fond frank fresh gentle glad golden grand happy hardy honest humble jolly
keen kind lively lucid lucky mellow merry mild modest neat nimble noble patient placid
plucky polite proud quick quiet rapid ready sage serene sharp silent smart snug sound spry
steady still stoic sturdy sunny swift tidy trusty upbeat vivid warm wise witty zesty""".split()
_SURNAMES = """abramson baran bartik bellovin bolot cerf clark cohen crocker davies deering diffie dijkstra
estrin farber feinler floyd hamilton heart hopper jacobson kahn karels kirstein kleinrock knuth lamarr lamport
liskov lovelace mcquillan metcalfe mills mockapetris moy nagle partridge paxson perlman postel pouzin rekhter
rivest roberts saltzer shamir shannon spafford stevens taylor thompson tomlinson turing zimmermann""".split()


class Identity:
    """Makes new ids and names."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def id(self) -> str:
        """64 hex digits (R31), never all decimal in the first 12, so that it cannot be read as a number."""
        while True:
            text = f"{self._random.getrandbits(256):064x}"
            if not text[:12].isdecimal():
                return text

    def name(self, taken: Callable[[str], bool]) -> str:
        """A free adjective_surname (R261)."""
        for _ in range(20):
            name = f"{self._random.choice(_ADJECTIVES)}_{self._random.choice(_SURNAMES)}"
            if not taken(name):
                return name
        while taken(name):
            name += str(self._random.randrange(10))
        return name
