"""Tasks that wait for others: for a child, for many children, for somebody outside."""

from __future__ import annotations

from tasks.hello_world import Hello, hello_world
from trigger_sdk import logger, task, wait


@task(id="teamwork")
async def teamwork(names: list[str]) -> list[str]:
    """Greet everybody through children that run at the same time."""
    answers = await hello_world.batch_trigger_and_wait([Hello(message=name) for name in names])
    return [answer.unwrap() for answer in answers]


@task(id="approval")
async def approval(amount: float) -> str:
    """Wait up to a day until somebody completes the token; `curl -d '"yes"'` to its address will do."""
    token = await wait.create_token(timeout="1d")
    logger.info("waiting for an approval", amount=amount, token=token.id, url=token.url)
    answer = await wait.for_token(token, str).unwrap()
    return f"{amount:g}: {answer}"
