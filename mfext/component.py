"""Component: one piece of third-party software that is delivered, with its licence."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path

from mfext.layer import layers

#: The longest text of the field License that is a name; some put the whole licence there.
_LONGEST_NAME = 60
#: Names under which projects give their home page, best first.
_HOME_PAGES = ("homepage", "home", "home page", "source", "repository", "github", "documentation")


@dataclass(frozen=True)
class Component:
    """What is known of one distribution."""

    name: str
    version: str
    licence: str
    home_page: str
    #: The layer that brings it; '' for MetWork itself.
    layer: str


def components() -> list[Component]:
    """Everything that is delivered with MetWork and its layers, by layer and name."""
    found = [component_of(one, "") for one in distributions(path=_own_folders())]
    for layer in layers():
        found += [component_of(one, layer.name) for one in distributions(path=[str(layer.site)])]
    return sorted(set(found), key=lambda one: (one.layer, one.name.lower()))


def component_of(distribution: Distribution, layer: str) -> Component:
    """What the metadata of *distribution* say."""
    metadata = distribution.metadata
    return Component(
        metadata["Name"], metadata["Version"], licence_of(metadata) or "not said", home_page_of(metadata), layer
    )


def licence_of(metadata: PackageMetadata) -> str:
    """The licence in one line, from the newest of the fields that say it."""
    expression = _field(metadata, "License-Expression")
    if expression:
        return expression
    classifiers = metadata.get_all("Classifier") or []
    named = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    named = [name for name in named if name != "OSI Approved"]
    first_line = _field(metadata, "License").partition("\n")[0].strip()
    if first_line and len(first_line) <= _LONGEST_NAME:
        return first_line
    return ", ".join(named) or first_line[:_LONGEST_NAME]


def home_page_of(metadata: PackageMetadata) -> str:
    """Where to read more; '' when it is not said."""
    pages = dict(_pages(metadata))
    named = [pages[name] for name in _HOME_PAGES if name in pages]
    return [*named, *pages.values(), ""][0]


def _pages(metadata: PackageMetadata) -> Iterator[tuple[str, str]]:
    if page := _field(metadata, "Home-page"):
        yield "homepage", page
    for text in metadata.get_all("Project-URL") or []:
        label, _, page = text.partition(",")
        yield re.sub(r"[-_]", " ", label.strip().lower()), page.strip()


def _field(metadata: PackageMetadata, name: str) -> str:
    text = (metadata.get_all(name) or [""])[0].strip()
    return "" if text == "UNKNOWN" else text


def _own_folders() -> list[str]:
    """Where the packages are that come with this Python, without those of layers that happen to be on the path."""
    prefix = Path(sys.prefix).resolve()
    return [folder for folder in sys.path if folder and Path(folder).resolve().is_relative_to(prefix)]
