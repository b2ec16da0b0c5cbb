"""A program without a mistake: a type checker finds nothing, and knows the type of everything."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_type

from pydantic import BaseModel

from actionbus import ActionContext, Call, Failure, Flow, Limit, Retry, Turn, Workflow, action, cel, rule, workflow
from actionbus.testing import FakeClock, Run, Signal, answers, never, run_workflow


class Signup(BaseModel):
    """The input."""

    email: str
    name: str


class User(BaseModel):
    """What create_user makes."""

    id: str
    email: str
    nickname: str | None = None


@dataclass
class Mail:
    """What send_mail makes."""

    message_id: str


@dataclass
class Letter(Mail):
    """A mail on paper."""

    stamp: str = ""


class Receipt(BaseModel):
    """The output."""

    user_id: str
    message_id: str


@action(id="create-user", description="Inserts the user row.", effect="transactional")
async def create_user(ctx: ActionContext, email: str, name: str = "") -> User:
    """With a context, asynchronous."""
    ctx.log.info("creating")
    return User(id=ctx.step_key, email=f"{email} {name}")


@action(id="delete-user", effect="transactional")
async def delete_user(ctx: ActionContext, user_id: str) -> None:
    """Gives nothing."""
    ctx.log.info("deleting", user_id=user_id)


@action(
    id="send-mail",
    retry=Retry(attempts=3, initial="1s"),
    timeout="5s",
    emits=["mails"],
    limit=Limit(rate="9/1s"),
    safe_to_leave=True,
)
def send_mail(email: str) -> Mail:
    """Without a context, synchronous."""
    return Mail(message_id=email)


@action(id="ask-manager", timeout="7d", heartbeat="1h")
async def ask_manager(ctx: ActionContext, amount: int) -> Mail:
    """Leaves its answer to others."""
    ctx.heartbeat({"asked": ctx.heartbeat_details, "token": ctx.token, "amount": amount})
    return ctx.answer_later()


assert_type(ask_manager(90), Call[Mail])


def apologise(message_id: str | None) -> None:
    """A function that exists already."""


async def write_letter(ctx: ActionContext, user_id: str, why: str) -> Letter:
    """An asynchronous one with a context."""
    return Letter(message_id=ctx.run_id + user_id, stamp=why)


send_apology = action.create(id="send-apology", execute=apologise, description="Says sorry.")
queue_letter = action.create(id="queue-letter", execute=write_letter)

assert_type(create_user("a@b", name="Ann"), Call[User])
assert_type(queue_letter(user_id="1", why="full"), Call[Letter])


@workflow(id="user-signup", version="1", timeout="1h", limit=Limit(concurrency=9, key="input.email"))
def user_signup(flow: Flow, signup: Signup) -> Receipt:
    """Every construct once."""
    user = flow.run(create_user(email=signup.email, name=signup.name), undo=lambda made: delete_user(user_id=made.id))
    assert_type(user, User)
    mail = flow.run(
        send_mail(email=user.email),
        undo=lambda made: send_apology(message_id=made.message_id),
        on_failure=[
            rule("MailboxFull").fallback(queue_letter(user_id=user.id, why="full")),
            rule(ConnectionError).retry(Retry(attempts=9)),
            rule("Odd").fallback(lambda failure: queue_letter(user_id=user.id, why=failure.message)),
            rule("Silly").continue_with(Mail(message_id="")),
            rule("Sad").fail(),
            rule("Slow").when("elapsed_ms > most", most=9_000).pause(),
            rule.any.compensate(),
        ],
        id="welcome",
        schedule_to_start="10m",
        schedule_to_close=30,
    )
    assert_type(mail, Mail)
    flow.emit("signups", key=user.id, value={"user": user, "tags": [mail.message_id, "new"]})
    return flow.output(Receipt, user_id=user.id, message_id=mail.message_id)


@workflow(id="tick", version="1", saga=True)
def tick(flow: Flow) -> None:
    """Takes nothing, gives nothing."""
    flow.run(send_mail("root@localhost"), pivot=True)


def apologetic(failure: Failure) -> Mail:
    """A handler with a name."""
    return Mail(message_id=failure.message)


@workflow(id="shapes", version="1")
def shapes(flow: Flow, signups: list[Signup]) -> Mail:
    """What stands in branches has the type of what they return."""

    def mail(name: str) -> Mail:
        return flow.run(send_mail("a@b"), id=name)

    def letter(name: str) -> Letter:
        return flow.run(queue_letter(user_id="1", why=""), id=name)

    chosen = flow.choose((cel("n > 1", n=1), lambda: mail("a")), otherwise=lambda: flow.fail("Full", "no room"))
    assert_type(chosen, Mail)
    assert_type(flow.choose((signups[0].name == "", lambda: mail("b"))), Mail | None)
    assert_type(flow.choose((True, lambda: mail("c")), (True, lambda: 1), otherwise=lambda: ""), Mail | int | str)
    one, two = flow.parallel(lambda: mail("d"), lambda: 1)
    assert_type(one, Mail)
    assert_type(two, int)
    assert_type(flow.parallel(lambda: 1, lambda: "", lambda: 1, lambda: 1, lambda: 1), tuple[int, str, int, int, int])
    assert_type(flow.parallel(*(lambda: 1 for _ in range(9))), tuple[int, ...])
    assert_type(flow.parallel(lambda: 1, lambda: 2, enough=1), list[int | None])
    assert_type(flow.first(lambda: mail("e"), lambda: mail("f")), Mail)
    users = flow.map(signups, lambda signup: flow.run(create_user(email=signup.email)), concurrency=5)
    assert_type(users, list[User])
    assert_type(flow.map(users, lambda user, index: (user.id, index), may_fail=1), list[tuple[str, int] | None])
    assert_type(flow.map(users, lambda user: user.id, may_fail_percent=2.5), list[str | None])
    turned = flow.repeat(lambda turn: turn.number, until=lambda result: cel("r > 3", r=result), limit=5)
    assert_type(turned, int)
    assert_type(flow.repeat(turn_of, while_=lambda turn: cel("n < 2", n=turn.number), limit=None), str | None)
    assert_type(flow.wait_for("approved", Receipt, timeout="3d"), Receipt)
    late = flow.wait_for("paid", Receipt, timeout="3d", on_timeout=lambda: None)
    assert_type(late, Receipt | None)
    flow.sleep("5m")
    flow.sleep(turned)
    flow.sleep_until(datetime.now(UTC))
    tried = flow.attempt(
        lambda: mail("g"),
        on_failure=[
            rule("Full").when("attempt < 3").retry(Retry(attempts=3)),
            rule("Full").handle(lambda failure: Mail(message_id=failure.message), undo=False),
            rule("Odd").handle(apologetic),
            rule("Silly").continue_with(Mail(message_id="")),
            rule.any.compensate(),
        ],
        always=lambda: letter("h"),
    )
    assert_type(tried, Mail)
    assert_type(flow.compute("a * 2", int, a=turned), int)
    return tried


def turn_of(turn: Turn) -> str:
    """A body with a name."""
    last: Any = turn.last
    return cel("string(n) + last", n=turn.number, last=last)


assert_type(user_signup, Workflow[Signup, Receipt])
assert_type(tick, Workflow[None, None])
assert_type(user_signup.read_output(b"{}"), Receipt)

run = run_workflow(
    user_signup,
    Signup(email="a@b", name="Ann"),
    actions={send_mail: answers(ConnectionError(), never, Mail("1")), "create-user": answers(User(id="1", email=""))},
    signals=[Signal("approved", Receipt(user_id="1", message_id="m"), after="1h")],
    clock=FakeClock(),
)
assert_type(run, Run[Receipt])
assert_type(run.result, Receipt)
assert_type(run.waits_for, tuple[str, ...])
run_workflow(tick, None, actions=[send_mail])
