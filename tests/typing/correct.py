"""A program without a mistake: a type checker finds nothing, and knows the type of everything."""

from dataclasses import dataclass
from typing import assert_type

from pydantic import BaseModel

from actionbus import ActionContext, Call, Flow, Retry, Workflow, action, rule, workflow
from actionbus.testing import FakeClock, Run, answers, never, run_workflow


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


@action(id="send-mail", retry=Retry(attempts=3, initial="1s"), timeout="5s", emits=["mails"])
def send_mail(email: str) -> Mail:
    """Without a context, synchronous."""
    return Mail(message_id=email)


def apologise(message_id: str | None) -> None:
    """A function that exists already."""


async def write_letter(ctx: ActionContext, user_id: str, why: str) -> Letter:
    """An asynchronous one with a context."""
    return Letter(message_id=ctx.run_id + user_id, stamp=why)


send_apology = action.create(id="send-apology", execute=apologise, description="Says sorry.")
queue_letter = action.create(id="queue-letter", execute=write_letter)

assert_type(create_user("a@b", name="Ann"), Call[User])
assert_type(queue_letter(user_id="1", why="full"), Call[Letter])


@workflow(id="user-signup", version="1", timeout="1h")
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
            rule.any.compensate(),
        ],
        id="welcome",
        schedule_to_close=30,
    )
    assert_type(mail, Mail)
    flow.emit("signups", key=user.id, value={"user": user, "tags": [mail.message_id, "new"]})
    return flow.output(Receipt, user_id=user.id, message_id=mail.message_id)


@workflow(id="tick", version="1")
def tick(flow: Flow) -> None:
    """Takes nothing, gives nothing."""
    flow.run(send_mail("root@localhost"))


assert_type(user_signup, Workflow[Signup, Receipt])
assert_type(tick, Workflow[None, None])
assert_type(user_signup.read_output(b"{}"), Receipt)

run = run_workflow(
    user_signup,
    Signup(email="a@b", name="Ann"),
    actions={send_mail: answers(ConnectionError(), never, Mail("1")), "create-user": answers(User(id="1", email=""))},
    clock=FakeClock(),
)
assert_type(run, Run[Receipt])
assert_type(run.result, Receipt)
run_workflow(tick, None, actions=[send_mail])
