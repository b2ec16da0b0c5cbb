"""The part of a flow that waits for what is outside the run: signals, people, time, and runs of other workflows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from actionbus.sdk import child, waits
from actionbus.sdk.call import Call
from actionbus.sdk.draft import Draft
from actionbus.sdk.duration import Duration
from actionbus.sdk.waits import Task

if TYPE_CHECKING:  # a workflow is written with a flow
    from actionbus.sdk.workflow import Workflow

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
R = TypeVar("R")
T = TypeVar("T")
Block = Callable[[], R]


class Outside:
    """What a workflow waits for. See ``Flow``, which it is a part of."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @overload
    def wait_for(
        self,
        signal: str,
        payload: type[T],
        *,
        accept: Callable[[T], bool] | None = None,
        answer: Callable[[T], object] | None = None,
        timeout: Duration | None = None,
        id: str | None = None,
    ) -> T: ...
    @overload
    def wait_for(
        self,
        signal: str,
        payload: type[T],
        *,
        accept: Callable[[T], bool] | None = None,
        answer: Callable[[T], object] | None = None,
        timeout: Duration,
        on_timeout: Block[R],
        id: str | None = None,
    ) -> T | R: ...
    def wait_for(
        self,
        signal: str,
        payload: Any,
        *,
        accept: Any = None,
        answer: Any = None,
        timeout: Duration | None = None,
        on_timeout: Any = None,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> Any:
        """Wait for a signal, and give its payload; one that came before is taken at once.

        With ``accept``, a condition on the payload, or ``answer``, a value that its sender gets, the signal is an
        update: whoever sends it hears whether it is taken, and the answer. Without a signal in time, give what
        ``on_timeout`` gives, or fail with Timeout.
        """
        replies = {"accept": accept, "answer": answer}
        return waits.wait_for(self._draft, signal, payload, id, timeout=timeout, on_timeout=on_timeout, **replies)

    @overload
    def wait_for_person(
        self,
        title: str,
        form: type[T],
        *,
        assignee: str | None = None,
        due: Duration | None = None,
        remind_after: Sequence[Duration] = (),
        on_reminder: Callable[[Task], object] | None = None,
        accept: Callable[[T], bool] | None = None,
        timeout: Duration | None = None,
        id: str | None = None,
    ) -> T: ...
    @overload
    def wait_for_person(
        self,
        title: str,
        form: type[T],
        *,
        assignee: str | None = None,
        due: Duration | None = None,
        remind_after: Sequence[Duration] = (),
        on_reminder: Callable[[Task], object] | None = None,
        accept: Callable[[T], bool] | None = None,
        timeout: Duration,
        on_timeout: Block[R],
        id: str | None = None,
    ) -> T | R: ...
    def wait_for_person(
        self,
        title: str,
        form: Any,
        *,
        assignee: str | None = None,
        due: Duration | None = None,
        remind_after: Sequence[Duration] = (),
        on_reminder: Any = None,
        accept: Any = None,
        timeout: Duration | None = None,
        on_timeout: Any = None,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> Any:
        """Ask a person to fill a form, and give the filled form.

        ``assignee`` is asked first, None: anybody; it may be changed while the task is open. After each of
        ``remind_after``, and when the task is ``due``, ``on_reminder`` writes what reminds, from the task.
        """
        return waits.wait_for_person(
            self._draft,
            title,
            form,
            id,
            assignee=assignee,
            due=due,
            remind_after=remind_after,
            on_reminder=on_reminder,
            accept=accept,
            timeout=timeout,
            on_timeout=on_timeout,
        )

    def child(
        self,
        workflow: "Workflow[I, O]",
        value: I = None,  # type: ignore[assignment] - a workflow without an input takes None
        *,
        undo: Callable[[O], Call[Any]] | None = None,
        give_up: Literal["cancel", "terminate", "leave"] = "cancel",
        timeout: Duration | None = None,
        run_id: str | None = None,
        version: str | None = None,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> O:
        """Start a run of another workflow, wait for its end, and give what it gives; if it fails, this fails like it.

        ``give_up`` says what becomes of it when it is not waited for any more, because this run ends or ``timeout`` is
        over: it is cancelled, and undone before anything else of this run is undone; terminated; or left alone.
        ``undo`` takes back a run that completed. ``run_id`` is made of this run's id and the step's, ``version`` is the
        newest one that is deployed, unless they are given.
        """
        return child.child(
            self._draft,
            workflow,
            value,
            id,
            wait=True,
            run_id=run_id,
            version=version,
            undo=undo,
            give_up=give_up,
            timeout=timeout,
        )

    def start(
        self,
        workflow: "Workflow[I, Any]",
        value: I = None,  # type: ignore[assignment] - a workflow without an input takes None
        *,
        run_id: str | None = None,
        version: str | None = None,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> str:
        """Start a run of another workflow and go on as soon as it has begun; give its run id. It lives by itself."""
        return child.child(self._draft, workflow, value, id, wait=False, run_id=run_id, version=version)

    def sleep(self, how_long: Duration, *, id: str | None = None) -> None:  # noqa: A002 - the user's word
        """Let time pass: a duration that is known now, or a reference to a number of milliseconds."""
        waits.sleep(self._draft, how_long, id)

    def sleep_until(self, moment: datetime | str | int, *, id: str | None = None) -> None:  # noqa: A002 - the user's word
        """Let time pass until a moment: a datetime, or a reference to one, to RFC 3339 text or epoch milliseconds."""
        waits.sleep_until(self._draft, moment, id)
