"""The smallest task, and one with a model of several parts."""

from __future__ import annotations

from pydantic import BaseModel, Field

from trigger_sdk import Context, logger, task


class Hello(BaseModel):
    message: str


@task(id="hello-world")
async def hello_world(hello: Hello) -> str:
    """Answer a greeting."""
    logger.info("saying hello", message=hello.message)
    return f"You said: {hello.message}"


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)
    count: int = 1


class Order(BaseModel):
    id: str
    items: list[Item]


class Receipt(BaseModel):
    order_id: str
    total: float
    attempt: int


@task(id="price-order")
def price_order(ctx: Context, order: Order) -> Receipt:
    """Add up an order; the payload is checked against the model before this runs."""
    total = sum(item.price * item.count for item in order.items)
    print(f"{len(order.items)} items come to {total:.2f}")
    return Receipt(order_id=order.id, total=total, attempt=ctx.attempt.number)
