"""A program full of mistakes: each line that a type checker must refuse says so."""

from dataclasses import dataclass

from pydantic import BaseModel

from actionbus import ActionContext, Flow, Retry, action, cel, rule, workflow
from actionbus.testing import run_workflow


class Signup(BaseModel):
    """The input."""

    email: str


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
class Parcel:
    """The same shape as a mail, and none."""

    message_id: str


class Receipt(BaseModel):
    """The output."""

    user_id: str


@action(id="create-user")
async def create_user(ctx: ActionContext, email: str) -> User:
    """Makes a user."""
    return User(id=ctx.step_key, email=email)


@action(id="delete-user")
def delete_user(user_id: str) -> None:
    """Takes a text."""


@action(id="send-mail")
def send_mail(email: str) -> Mail:
    """Gives a mail."""
    return Mail(message_id=email)


@action(id="send-parcel")
def send_parcel(email: str) -> Parcel:
    """Gives a parcel."""
    return Parcel(message_id=email)


@action(id="pay")
def pay(amount: int) -> int:
    """Takes a number."""
    return amount


@action(id="x", effect="magic")  # error: no such effect
def bad_effect() -> None:
    """An effect that there is not."""


@action(id="x", retries=3)  # error: no such option
def bad_option() -> None:
    """An option that there is not."""


@action(id="x", retry=3)  # error: a number is no policy
def bad_retry() -> None:
    """A retry that is no policy."""


@action  # error: an action needs an id
def bad_declaration() -> None:
    """Nothing is known of it."""


Retry(5)  # error: options have names


@workflow(id="arguments", version="1")
def arguments(flow: Flow, signup: Signup) -> None:
    """Wrong arguments."""
    flow.run(create_user(email=3))  # error: a number is no text
    flow.run(create_user(mail=signup.email))  # error: no such parameter
    flow.run(create_user())  # error: email is missing
    flow.run(create_user("ctx", "a"))  # error: the context is no argument
    flow.run(create_user(email=signup))  # error: the whole input is no text
    flow.run(create_user(email=signup.emial))  # error: no such field
    flow.run(create_user)  # error: an action is no call
    flow.run(pay(signup.email))  # error: a text is no number
    flow.run(send_mail(send_mail("a")))  # error: a call is no result


@workflow(id="results", version="1")
def results(flow: Flow, signup: Signup) -> Receipt:
    """Wrong uses of results."""
    user = flow.run(create_user(signup.email))
    flow.run(send_mail(user.mail))  # error: no such field
    flow.run(send_mail(user.nickname))  # error: it may be None
    flow.run(pay(user))  # error: a user is no number
    flow.output(Receipt, user=user.id)  # error: no such field of the output
    flow.output(Receipt, user_id=user)  # error: a user is no text
    return user  # error: a user is no receipt


@workflow(id="undos", version="1")
def undos(flow: Flow, signup: Signup) -> None:
    """Wrong compensations."""
    flow.run(create_user(signup.email), undo=delete_user)  # error: an undo takes what the step made
    flow.run(create_user(signup.email), undo=lambda made: delete_user(user_id=made.ident))  # error: no such field
    flow.run(create_user(signup.email), undo=lambda made: delete_user(user_id=made))  # error: a user is no text
    flow.run(create_user(signup.email), undo=lambda: delete_user(user_id="1"))  # error: it is given what was made
    flow.run(create_user(signup.email), undo=lambda made: made.id)  # error: an undo is a call
    flow.run(create_user(signup.email), undo=delete_user(user_id="1"))  # error: an undo is a function


@workflow(id="decisions", version="1")
def decisions(flow: Flow, signup: Signup) -> None:
    """Wrong decisions."""
    flow.run(send_mail(signup.email), on_failure=[rule.any.fallback(send_parcel("a"))])  # error: a parcel is no mail
    flow.run(send_mail(signup.email), on_failure=[rule.any.continue_with("sent")])  # error: a text is no mail
    flow.run(send_mail(signup.email), on_failure=rule.any.fail())  # error: rules come in a list
    flow.run(send_mail(signup.email), on_failure=[rule.any.retry(3)])  # error: a number is no policy
    flow.run(send_mail(signup.email), on_failure=[rule(404).fail()])  # error: a failure has a name
    flow.run(send_mail(signup.email), on_failure=[rule.any])  # error: nothing follows
    odd = rule.any.fallback(lambda failure: send_mail(failure.why))  # error: no such field
    flow.run(send_mail(signup.email), on_failure=[odd])


@workflow(id="shapes", version="1")
def shapes(flow: Flow, signups: list[Signup]) -> None:
    """Wrong shapes, and wrong uses of what they give."""
    flow.choose(("yes", lambda: 1))  # error: a text is no condition
    flow.choose((cel("true"), 1))  # error: a number is no function
    maybe = flow.choose((cel("true"), lambda: flow.run(send_mail("a"))))
    flow.run(send_mail(maybe.message_id))  # error: it may be None
    either = flow.choose((cel("true"), lambda: flow.run(pay(1))), otherwise=lambda: "none")
    flow.run(pay(either))  # error: it may be a text
    mail, amount = flow.parallel(lambda: flow.run(send_mail("a"), id="x"), lambda: flow.run(pay(1), id="y"))
    flow.run(pay(mail))  # error: a mail is no number
    flow.run(send_mail(amount))  # error: a number is no text
    some = flow.parallel(lambda: 1, lambda: 2, enough=1)
    flow.run(pay(some[0]))  # error: it may be None
    flow.run(pay(flow.first(lambda: "a", lambda: "b")))  # error: a text is no number
    flow.map(signups, lambda signup: signup.name)  # error: no such field
    flow.map(signups[0].email + 1, lambda item: item)  # error: no sum
    users = flow.map(signups, lambda signup: flow.run(create_user(signup.email)))
    flow.run(pay(users[0]))  # error: a user is no number
    few = flow.map(signups, lambda signup: signup.email, may_fail=1)
    flow.run(send_mail(few[0]))  # error: it may be None
    flow.repeat(lambda turn: turn.count)  # error: no such field
    flow.repeat(lambda: 1)  # error: a body is given the turn
    flow.repeat(lambda turn: turn.number, until=lambda result: cel("r", r=result.name))  # error: no such field
    flow.run(send_mail(flow.wait_for("paid", Mail)))  # error: a mail is no text
    flow.wait_for("paid", Mail, on_timeout=lambda: 1)  # error: it needs a timeout
    flow.sleep(signups)  # error: a list is no duration
    flow.run(pay(flow.attempt(lambda: flow.run(send_mail("b"), id="z"))))  # error: a mail is no number
    flow.attempt(lambda: 1, on_failure=[rule.any.fallback(pay(1))])  # error: a fallback is for steps
    flow.attempt(lambda: 1, on_failure=[rule.any.handle(lambda failure: failure.why)])  # error: no such field
    flow.run(pay(1), on_failure=[rule.any.handle(lambda _: 1)])  # error: a handler is for blocks
    flow.run(pay(1), schedule_to_start=signups)  # error: a list is no duration
    flow.run(send_mail(flow.compute("1 + 1", int)))  # error: a number is no text
    cel(1)  # error: a number is no expression


@workflow(id="no-flow", version="1")  # error: the flow comes first
def no_flow(signup: Signup) -> None:
    """Where is the flow?"""


@workflow(id="no-version")  # error: a version is missing
def no_version(flow: Flow) -> None:
    """Which version?"""


run_workflow(arguments, "a@b")  # error: a text is no input
run_workflow(arguments)  # error: the input is missing
unknown = run_workflow(results, Signup(email="a")).result.user  # error: no such field of the output
