"""Clients: how they are known, their class and their rate, from the module's configuration (pure)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from mfext.errors import ConfigError, raise_all
from mfext.section import Config
from mfserv.config import ClassConfig, ClientConfig, Limits
from mfserv.router.limits import CLASSES, Rate, rate

_HASHED = "sha256:"
_KNOWN_BY = ("keys", "subjects", "addresses")


@dataclass(frozen=True)
class Client:
    """Who sends requests."""

    name: str
    class_: str
    rate: Rate | None
    #: SHA-256 of its keys, in hex.
    keys: tuple[str, ...] = ()
    #: Of tokens: ``ISSUER|SUBJECT``.
    subjects: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clients:
    """All that is known of clients."""

    named: tuple[Client, ...]
    classes: Mapping[str, ClassConfig]
    #: Class and rate of everybody else.
    others: Client
    address_rate: Rate | None


def clients(config: Config) -> Clients:
    """The clients that the module's *config* names.

    Raises:
        ConfigError: one has a class that is not there, or is known by what another is known by (``Several``).
    """
    limits = config.section("limits", Limits)
    classes = classes_of(config)
    named = tuple(_client(name, config) for name in config.names("client_*"))
    others = Client("", limits.anonymous_class, rate(limits.anonymous_rate))
    raise_all([*_faults(named, classes, config), *_class_fault(others, classes, "limits", "anonymous_class", config)])
    return Clients(named, classes, others, rate(limits.address_rate))


def classes_of(config: Config) -> dict[str, ClassConfig]:
    """The classes by name, first comes first."""
    own = {name.removeprefix("class_"): config.section(name, ClassConfig) for name in config.names("class_*")}
    classes = {**CLASSES, **own}
    return dict(sorted(classes.items(), key=lambda item: (item[1].order, item[0])))


def _client(section: str, config: Config) -> Client:
    one = config.section(section, ClientConfig)
    return Client(
        name=section.removeprefix("client_"),
        class_=one.class_,
        rate=rate(one.rate),
        keys=tuple(_hash(key) for key in one.keys),
        subjects=tuple(f"{issuer}|{subject}" for subject in one.subjects for issuer in _issuers_of(one, config)),
        addresses=one.addresses,
    )


def _issuers_of(one: ClientConfig, config: Config) -> list[str]:
    """Names of the issuers whose tokens tell that they come from the client."""
    return [one.issuer] if one.issuer else [name.removeprefix("jwt_") for name in config.names("jwt_*")]


def _hash(key: str) -> str:
    given = key.removeprefix(_HASHED).lower()
    if key.startswith(_HASHED) and re.fullmatch("[0-9a-f]{64}", given):
        return given
    return hashlib.sha256(key.encode()).hexdigest()


def _faults(named: tuple[Client, ...], classes: Mapping[str, ClassConfig], config: Config) -> Iterator[ConfigError]:
    taken: dict[tuple[str, str], str] = {}
    for client in named:
        section = f"client_{client.name}"
        at = {kind: f"{config.origin(section, kind)} [{section}] {kind}" for kind in _KNOWN_BY}
        if not re.fullmatch(r"[A-Za-z0-9_.\-]+", client.name):
            yield ConfigError(f'"{client.name}" cannot be the name of a client', where=f"[{section}]")
        yield from _class_fault(client, classes, section, "class", config)
        yield from _issuer_fault(section, config)
        for address in client.addresses:
            yield from _address_fault(address, at["addresses"])
        for kind in _KNOWN_BY:
            for value in getattr(client, kind):
                other = taken.setdefault((kind, value), client.name)
                if other != client.name:
                    found = f"one of its {kind} is one of client {other}, too"
                    yield ConfigError(found, where=at[kind], expected="one client for each")
                if kind == "subjects" and re.search(r"\s", value):
                    yield ConfigError(f"{value.partition('|')[2]!r} holds a space", where=at[kind])


def _issuer_fault(section: str, config: Config) -> Iterator[ConfigError]:
    one = config.section(section, ClientConfig)
    there = [name.removeprefix("jwt_") for name in config.names("jwt_*")]
    if one.issuer and one.issuer not in there:
        yield ConfigError(
            f'there is no issuer "{one.issuer}"',
            where=f"{config.origin(section, 'issuer')} [{section}] issuer",
            expected=f"one of {', '.join(there)}" if there else "the name of a section [jwt_NAME]",
        )
    elif one.subjects and not one.issuer and len(there) != 1:
        # The subject of one issuer may be somebody else for another one.
        yield ConfigError(
            "it does not say whose subjects they are",
            where=f"{config.origin(section, 'subjects')} [{section}] subjects",
            expected=f"issuer = one of {', '.join(there)}" if there else "a section [jwt_NAME] of who signs the tokens",
        )


def _class_fault(
    client: Client, classes: Mapping[str, ClassConfig], section: str, key: str, config: Config
) -> Iterator[ConfigError]:
    if client.class_ not in classes:
        yield ConfigError(
            f'there is no class "{client.class_}"',
            where=f"{config.origin(section, key)} [{section}] {key}",
            expected=f"one of {', '.join(classes)}",
        )


def _address_fault(address: str, where: str) -> Iterator[ConfigError]:
    try:
        ip_network(address)
    except ValueError as error:
        yield ConfigError(str(error), where=where, expected="an address or a network such as 192.0.2.0/24")
