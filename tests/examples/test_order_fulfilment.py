"""The orders example, run without Kafka: a real database, real partners over HTTP, mail as files."""

import threading
from pathlib import Path

import pytest

from actionbus import NonRetryable
from actionbus.sdk import registry
from actionbus.testing import FakeClock, Signal, answers, run_workflow
from order_world import judge, partners

EXAMPLES = Path(__file__).parents[2] / "examples"
FULFIL_ORDER = registry.load(str(EXAMPLES / "order_fulfilment.py")).workflows["fulfil-order", "1"]
ORDER = {
    "id": "o-1",
    "email": "eve@example.com",
    "item": "lamp",
    "units": 2,
    "price": 2_000,
    "card": "4242",
    "address": "1 Long Street",
}
LARGE = {"item": "desk", "units": 3, "price": 20_000}
DAY_MS = 86_400_000


class Shop:
    """The world around one order."""

    def __init__(self, folder):
        self.shop, self.partners, self.mailbox = (folder / f"{name}.sqlite" for name in ("shop", "partners", "mailbox"))

    def order(self, *signals, clock=None, actions=(), **fields):
        """Run one order to its end."""
        return run_workflow(
            FULFIL_ORDER,
            ORDER | fields,
            signals=signals,
            clock=clock,
            actions=actions,
            stores={"default": f"sqlite:///{self.shop}"},
            run_id=fields.get("id", "o-1"),
        )

    def look(self):
        """The world as it is now."""
        return judge.look(self.shop, self.partners, self.mailbox)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop whose partners listen on a loopback port, and whose mails are files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORDER_SMTP", raising=False)
    found = Shop(tmp_path)
    server = partners.Server(0, partners.Partners(found.partners, is_open=True))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("ORDER_PARTNERS", f"http://127.0.0.1:{server.server_address[1]}")
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def undone(world):
    """Whether nothing is left of the order but what was given back."""
    return not (world.reserved or world.kept or world.parcels)


def test_an_order_takes_stock_and_money_and_brings_a_parcel(shop):
    """Everything happened once, and the receipt names it."""
    run = shop.order()
    assert (run.result.amount, run.result.shipment.carrier) == (4_000, "express")
    world = shop.look()
    assert (world.stock["lamp"], world.kept, world.shipped) == (98, {"o-1": 4_000}, {"o-1": 2})
    assert "Invoice o-1: 4000 cents" in "".join(each.read_text() for each in Path(".actionbus/orders").glob("*.eml"))


def test_a_large_order_waits_for_a_person(shop):
    """Sales says yes the next day, after one reminder."""
    run = shop.order(Signal("approval", {"granted": True, "reason": ""}, after="5h"), **LARGE)
    assert run.result.amount == 60_000
    assert run.called("remind-approver") == [{"what": "Approve order o-1 over 60000 cents"}]


def test_no_answer_is_a_no(shop):
    """Nobody is charged, and the goods go back on the shelf after three days."""
    clock = FakeClock()
    run = shop.order(clock=clock, **LARGE)
    assert run.reason == "NotApproved: nobody answered"
    assert len(run.called("remind-approver")) == 2
    assert clock.elapsed_ms >= 3 * DAY_MS
    world = shop.look()
    assert (world.stock["desk"], world.charges.total()) == (30, 0)


def test_a_no_needs_a_reason(shop):
    """What the person says goes into the reason of the failure."""
    run = shop.order(Signal("approval", {"granted": False, "reason": "too much"}), **LARGE)
    assert run.reason == "NotApproved: too much"
    assert undone(shop.look())


def test_a_customer_moves(shop):
    """The parcel goes to the new address."""
    run = shop.order(Signal("change", {"cancel": False, "address": "2 Short Street"}))
    assert run.status == "COMPLETED"
    assert shop.look().addresses == {"o-1": "2 Short Street"}


def test_a_customer_cancels(shop):
    """The money goes back, and the goods."""
    run = shop.order(Signal("change", {"cancel": True, "address": ""}))
    assert run.reason == "Cancelled: by the customer"
    world = shop.look()
    assert undone(world)
    assert world.refunded == {"o-1"}


def test_the_shelf_runs_empty(shop):
    """Who wants more than is left gets nothing, and is charged nothing."""
    assert shop.order(id="o-0", item="rug").status == "COMPLETED"
    run = shop.order(item="rug")
    assert run.reason == "OutOfStock: there are no 2 of rug"
    world = shop.look()
    assert (world.stock["rug"], world.charges) == (1, {"o-0": 1})


def test_a_declined_card_puts_the_goods_back(shop):
    """The card is asked once, and the goods are for others."""
    run = shop.order(card=partners.DECLINED)
    assert run.error.type == "CardRefused"
    assert len(run.called("charge-card")) == 1
    assert shop.look().stock["lamp"] == 100


def test_a_lost_answer_is_no_second_charge(shop):
    """The provider knows the key: the money is taken once."""
    run = shop.order(card=partners.LOST_REPLY)
    assert run.status == "COMPLETED"
    world = shop.look()
    assert (world.charges, world.repeats) == ({"o-1": 1}, 1)


def test_where_express_does_not_go_the_post_does(shop):
    """The child tries the next carrier, and the receipt names it."""
    assert shop.order(address="3 Far Island").result.shipment.carrier == "post"
    assert shop.look().parcels == {"o-1": 1}


def test_where_nobody_goes_everything_is_given_back(shop):
    """The child fails for good: refund first, then the goods."""
    run = shop.order(address="Nowhere")
    assert run.error.type == "NoService"
    assert [each.action for each in run.calls if each.undo][-2:] == ["refund-card", "release-stock"]
    assert undone(shop.look())


def test_an_order_without_an_invoice_comes_back(shop):
    """The mailbox is gone: the parcel is recalled, the money refunded, the stock released, in that order."""
    refused = answers(NonRetryable("no such user", type="MailRefused"))
    run = shop.order(actions={"mail-invoice": refused})
    assert [each.action for each in run.calls if each.undo] == ["recall-parcel", "refund-card", "release-stock"]
    world = shop.look()
    assert undone(world)
    assert (world.refunded, world.stock["lamp"]) == ({"o-1"}, 100)
