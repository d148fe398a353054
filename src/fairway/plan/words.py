"""Facts in a few words, for error texts and for people who ask what differs."""

from fairway.plan.facts import (
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Overlay,
    Resolver,
    Route,
    Sysctl,
    Veth,
)


def describe(fact: Fact) -> str:
    """What it is about, without its values: ``interface docker0``."""
    match fact:
        case Namespace(path=path):
            return f"network namespace {path}"
        case Overlay(target=target):
            return f"overlay mount {target}"
        case Sysctl(key=key):
            return f"sysctl {key}"
        case Resolver(namespace=namespace):
            return f"DNS listener in {namespace}"
        case Bridge(name=name) | Veth(name=name):
            return f"interface {name}"
        case Address(address=address, link=link):
            return f"address {address} on {link}"
        case Route(destination=destination, gateway=gateway, link=link):
            return f"route {destination} via {gateway} on {link}"
        case Hairpin(link=link):
            return f"hairpin mode of {link}"
        case HeldPort(protocol=protocol, address=address, port=port):
            return f"port {address or '*'}:{port}/{protocol}"
        case Flows(address=address):
            return f"connections of {address}"
        case Element(table_object=name, key=key):
            return f"element {' . '.join(key)} of {name}"
