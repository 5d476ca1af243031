"""What a world holds, where it is kept."""

from __future__ import annotations

from reference_server import World

__all__ = ["kept"]


def kept(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a world's database holds, by table."""
    tables = world.database.all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return {
        table["name"]: sorted((tuple(row) for row in world.database.all(f"SELECT * FROM {table['name']}")), key=repr)
        for table in tables
    }
