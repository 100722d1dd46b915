"""What can be known without the service; run by ``make test``."""

from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit


def test_its_address_is_complete() -> None:
    config = ConfigParser(interpolation=None)
    config.read(Path(__file__).parent.parent / "config.ini")
    for address in config["app_main"]["upstream"].split(","):
        assert urlsplit(address.strip()).hostname
