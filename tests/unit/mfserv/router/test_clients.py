from __future__ import annotations

import hashlib

import pytest

from mfext.errors import ConfigError, MetworkError
from mfserv.router.clients import classes_of, clients
from tests.unit.mfserv.apps import config

HASH = hashlib.sha256(b"secret").hexdigest()


def test_keys_are_known_by_their_hash_only() -> None:
    known = clients(config(client_a={"keys": "secret"}, client_b={"keys": f"sha256:{'0' * 64}"}))
    assert [client.keys for client in known.named] == [(HASH,), ("0" * 64,)]


def test_classes_are_there_without_configuration_and_in_their_order() -> None:
    assert [*classes_of(config())] == ["interactive", "batch"]
    assert [*classes_of(config(class_urgent={"order": "1"}, class_batch={"order": "5"}))] == [
        "urgent",
        "batch",
        "interactive",
    ]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"client_a": {"class": "none"}}, 'there is no class "none"'),
        ({"limits": {"anonymous_class": "none"}}, 'there is no class "none"'),
        ({"client_a": {"keys": "x"}, "client_b": {"keys": "x"}}, "one of client a, too"),
        ({"client_a": {"keys": "secret"}, "client_b": {"keys": f"sha256:{HASH}"}}, "one of client a, too"),
        ({"client_a": {"addresses": "192.0.2.300"}}, "192.0.2.300"),
        ({"client_a": {"addresses": "192.0.2.1/24"}}, "has host bits set"),
        ({"jwt_one": {}, "client_a": {"subjects": "a b"}}, "'a b' holds a space"),
        ({"client_a": {"subjects": "a"}}, "does not say whose subjects they are"),
        ({"jwt_one": {}, "jwt_two": {}, "client_a": {"subjects": "a"}}, "issuer = one of one, two"),
        ({"jwt_one": {}, "client_a": {"subjects": "a", "issuer": "two"}}, 'there is no issuer "two"'),
        (
            {"jwt_one": {}, "client_a": {"subjects": "x"}, "client_b": {"subjects": "x", "issuer": "one"}},
            "client a, too",
        ),
        ({"client_a b": {}}, "cannot be the name of a client"),
        ({"client_a": {"rate": "ten"}}, "has not the right form"),
        ({"client_a": {"rate": "0/10s"}}, "has not the right form"),
    ],
)
def test_what_is_wrong_is_told(sections: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(MetworkError, match=message) as raised:
        clients(config(**sections))
    assert raised.value.exit_code == ConfigError.exit_code
    assert "secret" not in raised.value.message
