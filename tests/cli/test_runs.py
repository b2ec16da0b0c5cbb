"""`actionbus runs` against a whole installation: what scripts read, and what people are told when they are wrong."""

import json
import signal

import pytest

from cli.installed import Dev

pytestmark = pytest.mark.kafka


def test_a_run_is_started_and_gives_its_result(dev: Dev) -> None:
    """With --result the output comes as JSON on standard output, alone."""
    assert dev.json("runs", "start", "hello", '"Ada"', "--id", "result-1", "--result") == "Hello, Ada!"
    assert dev.json("runs", "result", "result-1") == "Hello, Ada!"


def test_a_start_prints_the_id(dev: Dev) -> None:
    """Without --result the run's id is printed, made or chosen."""
    assert dev.json("runs", "start", "hello", '"Ada"', "--id", "started-1")["run_id"] == "started-1"
    made = dev.json("runs", "start", "hello@1", '"Ada"', "--no-wait")
    assert made["accepted"] is False
    assert dev.json("runs", "result", made["run_id"]) == "Hello, Ada!"


@pytest.mark.parametrize(("argument", "stdin"), [("-", '"Łukasz"'), ("@input.json", None)])
def test_the_input_comes_from_a_pipe_or_a_file(dev: Dev, argument: str, stdin: str | None) -> None:
    """- reads standard input, @FILE a file."""
    (dev.folder / "input.json").write_text('"Łukasz"', encoding="utf-8")
    assert dev.json("runs", "start", "hello", argument, "--result", stdin=stdin) == "Hello, Łukasz!"


def test_a_failed_run_has_an_exit_code_of_its_own(dev: Dev) -> None:
    """A run that ends without success ends the command with 5 and says why."""
    assert "nobody to greet" in dev.command("runs", "start", "hello", '"nobody"', "--id", "fails-1", "--result").stderr
    assert "ended FAILED: NonRetryable: there is nobody to greet" in dev.refused(5, "runs", "result", "fails-1")


def test_a_run_is_shown(dev: Dev) -> None:
    """Show gives status, times, input and what is under way, as JSON for scripts and as lines for people."""
    dev.json("runs", "start", "hello", '"Ada"', "--id", "shown-1", "--result")
    shown = dev.json("runs", "show", "shown-1")
    assert (shown["status"], shown["workflow"], shown["output"]) == ("COMPLETED", "hello", "Hello, Ada!")
    table = dev.command("runs", "show", "shown-1", "-o", "table").stdout
    assert "COMPLETED" in table
    assert "{" not in table.splitlines()[0]


def test_the_history_of_a_run_is_listed(dev: Dev) -> None:
    """History gives one row for each thing that happened; as jsonl each row is a line."""
    dev.json("runs", "start", "hello", '"Ada"', "--id", "history-1", "--result")
    rows = dev.json("runs", "history", "history-1")
    assert [row["kind"] for row in rows][:3] == ["request_accepted", "run_started", "step_scheduled"]
    assert rows[-1]["kind"] == "run_ended"
    lines = dev.command("runs", "history", "history-1", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_a_run_is_watched_to_its_end(dev: Dev) -> None:
    """Watch prints what happened and what happens, and ends with the run."""
    file = dev.folder / "go-on"
    dev.json("runs", "start", "wait", json.dumps(str(file)), "--id", "watched-1")
    file.write_text("")
    lines = dev.command("runs", "watch", "watched-1", "-o", "jsonl").stdout.splitlines()
    assert json.loads(lines[0])["kind"] == "request_accepted"
    assert json.loads(lines[-1])["status"] == "COMPLETED"
    assert "It is COMPLETED" in dev.command("runs", "watch", "watched-1", "-o", "table").stdout


def test_a_failure_is_explained(dev: Dev) -> None:
    """Explain tells every failure with the decision that followed, and what was undone."""
    dev.command("runs", "start", "hello", '"nobody"', "--id", "explained-1", "--result")
    told = dev.command("runs", "explain", "explained-1").stdout
    for sentence in (
        "Run explained-1 of hello@1",
        'reserve succeeded on attempt 1 and gave "reserved nobody".',
        "greet failed on attempt 1: NonRetryable: there is nobody to greet.",
        "Decided to undo the run",
        "reserve is to be undone: release is asked for.",
        "reserve is undone.",
        "It is FAILED",
    ):
        assert sentence in told


def test_a_run_is_cancelled(dev: Dev) -> None:
    """Cancel stops a run; the reason stands in its history; a second one is a conflict."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "cancelled-1")
    assert dev.json("runs", "cancel", "cancelled-1", "--reason", "nobody waits")["cancelled"] is True
    assert "CANCELLED" in dev.refused(5, "runs", "result", "cancelled-1")
    assert "nobody waits" in dev.command("runs", "explain", "cancelled-1").stdout
    assert "ended already" in dev.refused(4, "runs", "cancel", "cancelled-1")


def test_a_run_is_paused_resumed_and_terminated(dev: Dev) -> None:
    """Each is done when the command ends, is told by the history with who asked, and is a conflict a second time."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "paused-1")
    assert dev.json("runs", "pause", "paused-1", "--by", "Ada", "--reason", "lunch") == {
        "run_id": "paused-1",
        "paused": True,
    }
    assert "paused already" in dev.refused(4, "runs", "pause", "paused-1")
    assert "to be resumed" in dev.json("runs", "show", "paused-1")["waits_for"]
    assert "to be resumed" in dev.command("runs", "show", "paused-1", "-o", "table").stdout
    assert dev.json("runs", "resume", "paused-1")["resumed"] is True
    assert "not paused" in dev.refused(4, "runs", "resume", "paused-1")
    assert dev.json("runs", "terminate", "paused-1", "--reason", "enough")["terminated"] is True
    assert "TERMINATED" in dev.refused(5, "runs", "result", "paused-1")
    told = dev.command("runs", "explain", "paused-1").stdout
    assert "The run was paused: Ada: lunch." in told
    assert "It is TERMINATED" in told


@pytest.mark.parametrize(("verb", "done"), [("skip", "skipped"), ("complete", "completed")])
def test_a_step_is_given_its_output(dev: Dev, verb: str, done: str) -> None:
    """The output comes as an argument or from a pipe; one that breaks the action's schema is a conflict."""
    run = f"{verb}-1"
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", run)
    assert "does not fit the action hold" in dev.refused(4, "runs", verb, run, "hold", '"yes"')
    assert "no step 'held' is under way; those that are: hold" in dev.refused(4, "runs", verb, run, "held", "true")
    assert dev.json("runs", verb, run, "hold", "-", stdin="true")[done] is True
    assert dev.json("runs", "result", run) is True


def test_a_signal_that_a_workflow_does_not_know_is_a_conflict(dev: Dev) -> None:
    """The sender is told which signals there are."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "signalled-1")
    assert "the signals it knows: none" in dev.refused(4, "runs", "signal", "signalled-1", "name", '"Ada"')


def test_the_same_request_has_one_effect(dev: Dev) -> None:
    """A start that is asked again with its request id is accepted again; another one is a conflict."""
    ask = ("runs", "start", "hello", '"Ada"', "--id", "twice-1")
    for _ in range(2):
        assert dev.json(*ask, "--request-id", "r")["run_id"] == "twice-1"
    assert "the run id is taken" in dev.refused(4, *ask)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("start", "nothing", "1"), "the workflow 'nothing' is not deployed"),
        (("start", "hello@9", '"Ada"'), "'hello'"),
        (("start", "hello", "7"), 'the input is refused: 7 is not of type "string"'),
        (("start", "hello"), "the input is refused"),
        (("start", "hello", "Ada"), "give the input as JSON"),
        (("start", "hello", '{"a": 1, "a": 2}'), "the same key twice"),
        (("start", "hello", "@no-such-file"), "the input cannot be read"),
        (("start", "Hello", '"Ada"'), "use 1 to 100 of a-z 0-9 -"),
        (("start", "hello@", '"Ada"'), "workflow version '' is not valid"),
        (("start", "hello", '"Ada"', "--id", "a/b"), "run id 'a/b' is not valid"),
        (("start", "hello", '"Ada"', "--id", "!position"), "run id '!position' is not valid"),
        (("show", "nobody"), "there is no run nobody"),
        (("result", "nobody"), "there is no run nobody"),
        (("watch", "nobody"), "there is no run nobody"),
        (("history", "nobody"), "nothing is known of a run nobody"),
        (("explain", "nobody"), "nothing is known of a run nobody"),
        (("cancel", "nobody"), "no run"),
        (("signal", "nobody", "name"), "no run"),
        (("pause", "nobody"), "no run"),
        (("retry", "nobody", "greet"), "no run"),
        (("complete", "nobody", "greet", "Ada"), "give the output as JSON"),
        (("signal", "nobody", "name", "@no-such-file"), "the payload cannot be read"),
        (("reschedule", "nobody", "greet", "tomorrow"), "'tomorrow' is no time: write now, or as in 2026-"),
        (("reschedule", "nobody", "greet", "2026-12-24T18:00:00"), "says no time zone"),
        (("start", "hello", '"Ada"', "--signal", "name=1"), "--signal needs --id"),
        (("start", "hello", '"Ada"', "--id", "a", "--signal", "=1"), "is not NAME=JSON"),
        (("start", "hello", '"Ada"', "--id", "a", "--signal", "name="), "is not NAME=JSON"),
        (("start", "hello", '"Ada"', "--id", "a", "--signal", "name=1"), "waits for no signal 'name'"),
    ],
)
def test_bad_input_gets_one_clear_sentence(dev: Dev, arguments: tuple[str, ...], says: str) -> None:
    """Whatever is wrong with what was asked, the command ends with 2 and one sentence that says what."""
    assert says in dev.refused(2, "runs", *arguments)


def test_an_input_over_the_limit_is_refused(dev: Dev) -> None:
    """A payload one byte over the limit is refused with both numbers; the limit itself is accepted."""
    longest = json.dumps("x" * (262_144 - 2))
    assert dev.json("runs", "start", "hello", "-", "--id", "long-1", stdin=longest)["run_id"] == "long-1"
    sentence = dev.refused(2, "runs", "start", "hello", "-", stdin=json.dumps("x" * (262_144 - 1)))
    assert "262145 bytes, 262144 are allowed" in sentence


def test_waiting_has_an_end(dev: Dev) -> None:
    """A result that does not come in time ends the command with 6: try again."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "slow-1")
    assert "was not seen within 0.2 s" in dev.refused(6, "runs", "result", "slow-1", "--timeout", "0.2")


def test_waiting_is_interrupted_without_a_traceback(dev: Dev) -> None:
    """Ctrl-C while a result is waited for ends the command with 130 and not a word more; the run goes on."""
    ask = ["runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "interrupted-1", "--result"]
    with dev.begun(*ask) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == "run interrupted-1\n"
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 130
        assert waiting.stderr.read() == ""
    assert dev.json("runs", "show", "interrupted-1")["status"] == "RUNNING"


def test_a_broker_that_is_not_there_is_named(dev: Dev) -> None:
    """Where nothing listens, the command ends with 6 and names the address."""
    nowhere = {"ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    for arguments in (("runs", "show", "a"), ("topics", "plan"), ("deploy", "app.py"), ("doctor",)):
        assert "no Kafka broker answers at 127.0.0.1:1" in dev.refused(6, *arguments, **nowhere)


def test_an_installation_that_is_not_there_is_named(dev: Dev) -> None:
    """On a broker without the topics the command says what makes them."""
    sentence = dev.refused(2, "--prefix", "nowhere", "runs", "show", "a")
    assert "nowhere.workflow.requests.v1" in sentence
    assert "actionbus topics apply" in sentence


def test_a_misspelt_setting_is_named(dev: Dev) -> None:
    """A variable that is no setting is refused with the one that was meant."""
    sentence = dev.refused(2, "runs", "show", "a", ACTIONBUS_PREFXI="x")
    assert "did you mean ACTIONBUS_PREFIX?" in sentence


def test_a_reader_that_goes_away_is_no_error(dev: Dev) -> None:
    """A pipe that is closed early ends the command without a traceback."""
    dev.json("runs", "start", "hello", '"Ada"', "--id", "piped-1", "--result")
    done = dev.command("runs", "history", "piped-1")
    assert "Traceback" not in done.stderr


def test_debug_shows_where_an_error_comes_from(dev: Dev) -> None:
    """With --debug the traceback is shown beside the sentence."""
    done = dev.command("--debug", "runs", "show", "nobody")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "actionbus: there is no run nobody" in done.stderr


def test_data_is_never_an_order_to_the_terminal(dev: Dev) -> None:
    """Escape sequences in what anybody may have sent reach a terminal as harmless characters."""
    hostile = "\x1b[2J\x1b]0;gotcha\x07[red]x"
    dev.json("runs", "start", "hello", json.dumps(hostile), "--id", "hostile-1", "--reason", hostile, "--result")
    for arguments in (("show",), ("history",), ("explain",), ("watch",)):
        shown = dev.command("runs", *arguments, "hostile-1", *([] if arguments == ("explain",) else ["-o", "table"]))
        assert "\x1b" not in shown.stdout
        assert "\x07" not in shown.stdout
        assert "[red]x" in shown.stdout
