"""A believable world: people, entrepreneurs and organisations, the same for the same seed."""

from __future__ import annotations

import random

from cabinet_sdk.types import Inn, Kpp, Ogrn, Ogrnip
from reference_server import charges
from reference_server.profiles import Profile, ProfileKind
from reference_server.world import World

__all__ = ["fill"]


def fill(world: World, seed: int) -> list[Profile]:
    """Fill an empty world; every identifier is made up and carries right check digits."""
    # S311: made-up data has to repeat, and nothing secret comes from it.
    chance = random.Random(seed)  # noqa: S311
    taken = set[Inn]()

    def digits(count: int) -> str:
        return "".join(str(chance.randrange(10)) for _ in range(count))

    def inn(region: str, count: int) -> Inn:
        while True:
            found = Inn.with_check_digits(region + digits(count))
            if found not in taken:
                taken.add(found)
                return found

    def person(name: str, *, linked: bool = False) -> Profile:
        return world.profiles.add(name, inn("7701", 6), linked=charges.LINKED if linked else frozenset())

    def entrepreneur(name: str, year: int) -> Profile:
        return world.profiles.add(
            f"ИП {name}",
            inn("7702", 6),
            kind=ProfileKind.ENTREPRENEUR,
            registration=Ogrnip.with_check_digits(f"3{year % 100:02}77{digits(9)}"),
            linked=charges.LINKED,
        )

    def organisation(name: str, year: int) -> Profile:
        return world.profiles.add(
            name,
            inn("7703", 5),
            kind=ProfileKind.ORGANISATION,
            kpp=Kpp(f"770301{digits(3)}"),
            registration=Ogrn.with_check_digits(f"1{year % 100:02}77{digits(7)}"),
            linked=charges.LINKED,
        )

    added = [
        person("Смирнова Анна Сергеевна", linked=True),
        person("Кузнецов Дмитрий Олегович"),
        # Two entrepreneurs of one person: the account that binds them comes with the accounts.
        entrepreneur("Смирнова Анна Сергеевна (мастерская)", 2019),
        entrepreneur("Смирнова Анна Сергеевна (магазин)", 2023),
        entrepreneur("Волков Павел Игоревич", 2021),
        organisation("ООО «Северный ветер»", 2015),
        organisation("АО «Типография на Неглинной»", 2008),
    ]
    for profile in added:
        charges.seed(world.charges, profile, chance, world.clock.now())
    return added
