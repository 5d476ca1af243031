"""Profiles and the clients that may act for them, as far as signing in needs them."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import final

import attrs

from cabinet_sdk.errors import mask
from cabinet_sdk.types import Code, Inn, Kpp, Ogrn, Ogrnip, code
from reference_server.database import Database

__all__ = [
    "SCHEMA",
    "Profile",
    "ProfileKind",
    "add_profile",
    "digest",
    "profile_by_client",
    "profile_by_id",
    "profile_by_inn",
    "profiles",
]

SCHEMA = """
CREATE TABLE profiles (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    inn TEXT NOT NULL UNIQUE,
    kpp TEXT,
    registration TEXT,
    permissions TEXT NOT NULL,
    linked TEXT NOT NULL,
    client_secret TEXT NOT NULL
);
"""


@final
class ProfileKind(Code):
    """Who a profile stands for."""

    PERSON = code("Физическое лицо")
    ENTREPRENEUR = code("Индивидуальный предприниматель")
    ORGANISATION = code("Организация")


@final
@attrs.frozen(kw_only=True)
class Profile:
    """
    A person, an entrepreneur or an organisation in a world.

    Attributes:
        id: Of the profile; its client signs in with it as the client id.
        kind: Who it stands for.
        name: In full.
        inn: ИНН, unique in a world.
        kpp: КПП of an organisation.
        registration: ОГРН of an organisation, ОГРНИП of an entrepreneur.
        permissions: Codes that a token of it may hold.
        linked: Payment methods that have something linked to pay from.
    """

    id: str
    kind: ProfileKind
    name: str = attrs.field(repr=mask)
    inn: Inn
    kpp: Kpp | None = None
    registration: Ogrn | Ogrnip | None = None
    permissions: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()


def digest(secret: str) -> str:
    """Return what is kept of a secret: it is random and long, so a plain hash cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_profile(database: Database, profile: Profile, client_secret: str) -> None:
    """Keep a profile with the digest of its client's secret."""
    database.execute(
        "INSERT INTO profiles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            profile.id,
            str(profile.kind),
            profile.name,
            str(profile.inn),
            None if profile.kpp is None else str(profile.kpp),
            None if profile.registration is None else str(profile.registration),
            " ".join(sorted(profile.permissions)),
            " ".join(sorted(profile.linked)),
            digest(client_secret),
        ),
    )


def profiles(database: Database) -> list[Profile]:
    """Return every profile in the order in which they were added."""
    return [_profile(row) for row in database.all("SELECT * FROM profiles ORDER BY rowid")]


def profile_by_id(database: Database, profile_id: str) -> Profile | None:
    """Return a profile."""
    row = database.one("SELECT * FROM profiles WHERE id = ?", (profile_id,))
    return None if row is None else _profile(row)


def profile_by_inn(database: Database, inn: str) -> Profile | None:
    """Return the profile with that ИНН."""
    row = database.one("SELECT * FROM profiles WHERE inn = ?", (inn,))
    return None if row is None else _profile(row)


def profile_by_client(database: Database, client_id: str) -> tuple[Profile, str] | None:
    """Return the profile of a client and the digest of the client's secret."""
    row = database.one("SELECT * FROM profiles WHERE id = ?", (client_id,))
    return None if row is None else (_profile(row), row["client_secret"])


def _profile(row: sqlite3.Row) -> Profile:
    kind = ProfileKind.trusted(row["kind"])
    registration = row["registration"]
    return Profile(
        id=row["id"],
        kind=kind,
        name=row["name"],
        inn=Inn.trusted(row["inn"]),
        kpp=None if row["kpp"] is None else Kpp.trusted(row["kpp"]),
        registration=None
        if registration is None
        else (Ogrn if kind == ProfileKind.ORGANISATION else Ogrnip).trusted(registration),
        permissions=frozenset(row["permissions"].split()),
        linked=frozenset(row["linked"].split()),
    )
