"""Stories in which everything goes wrong; each ends well, and each can be told again by its seed."""

from __future__ import annotations

import json
from collections.abc import Callable

from support.simulation import World

SEEDS = {"sqlite": 300, "postgres": 40}


def test_whatever_goes_wrong_every_run_ends_once_and_holds_nothing(
    store: str, fresh: Callable[[], str]
) -> None:
    """Whoever lost a run wrote nothing to it afterwards."""
    for seed in range(SEEDS[store]):
        world = World(fresh(), seed)
        try:
            world.live()
            world.come_to_rest()
            assert _complaints(world) == [], f"seed {seed}"
        finally:
            world.close()


def _complaints(world: World) -> list[str]:
    engine = world.platforms[0]
    found = engine.violations()
    for run in world.runs():
        if engine.states(run.id).count("FINISHED") != 1:
            found.append(f"{run.id} is {run.execution_status}")
        if run.status == "COMPLETED_SUCCESSFULLY":
            output = engine.call(lambda u, one=run.id: u.tx.scalar("output_of", run_id=one))
            if json.loads(output)[1] != run.lease:
                found.append(f"{run.id} was written to by somebody who had lost it")
    return found
