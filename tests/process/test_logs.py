"""What a process says is one JSON object a line, bound to the run it is about, and free of noise."""

import json
import logging
import subprocess
import sys

from actionbus.process.logs import REPEAT_SECONDS, QuietRepeats

SCRIPT = """
import logging, warnings
import structlog
from actionbus.process import logs
from actionbus.process.groups import LogSettings
logs.configure(LogSettings(level="{level}", format="{format}"), "orchestrator")
log = structlog.get_logger("actionbus.test")
{body}
"""


def lines_of(body, level="info", form="json"):
    script = SCRIPT.format(level=level, format=form, body=body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "", "logs belong on standard error: standard output carries results"
    return [json.loads(line) for line in done.stderr.splitlines()] if form == "json" else done.stderr.splitlines()


def test_a_line_is_json_with_its_context():
    """Every line is one JSON object with time, level, logger, service and the run it is about."""
    (line,) = lines_of(
        "with logs.bound(run_id='r-1', step='mail', attempt=2):\n    log.warning('mailbox %s', 'full', size=3)"
    )
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "message": "mailbox full", "level": "warning", "logger": "actionbus.test", "service": "orchestrator",
        "run_id": "r-1", "step": "mail", "attempt": 2, "size": 3,
    }  # fmt: skip


def test_the_context_ends_with_its_block():
    """What was bound inside a block is not said of what comes after it."""
    _, after = lines_of("with logs.bound(run_id='r-1'):\n    log.info('in')\nlog.info('after')")
    assert "run_id" not in after


def test_lines_of_user_code_say_which_attempt_they_are_about():
    """What is logged inside, by any logger and in threads, carries the attempt; and none of it is held back as noise."""
    body = (
        "import contextvars, threading\n"
        "trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 a=1'\n"
        "def work():\n"
        "    for _ in range(3):\n"
        "        logging.getLogger('shop').warning('slow')\n"
        "with logs.bound(workflow='order', run_id='r-1', step='mail', action='send', attempt=2, trace=trace):\n"
        "    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    lines = lines_of(body)
    assert len(lines) == 3
    known = {"workflow": "order", "run_id": "r-1", "step": "mail", "action": "send", "attempt": 2}
    for line in lines:
        assert (known | {"trace_id": "0af7651916cd43dd8448eb211c80319c"}).items() <= line.items()


def test_foreign_loggers_go_the_same_way():
    """Lines of the standard library's logging, and warnings, are JSON with the same fields."""
    foreign, warned = lines_of("logging.getLogger('sqlalchemy').warning('slow %d', 7)\nwarnings.warn('old')")
    assert (foreign["message"], foreign["logger"], foreign["service"]) == ("slow 7", "sqlalchemy", "orchestrator")
    assert "old" in warned["message"]


def test_a_traceback_is_data_without_local_variables():
    """An exception is written as structured frames, and no local variable with it."""
    (line,) = lines_of("password = 'canary'\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed')")
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "canary" not in json.dumps(line)


def test_the_level_holds_for_everybody():
    """What is less severe than the level is written neither for us nor for others; aiokafka speaks from warnings on."""
    body = "log.info('ours')\nlogging.getLogger('aiokafka.x').{}('theirs')"
    assert lines_of(body.format("warning"), level="error") == []
    assert [line["message"] for line in lines_of(body.format("info"))] == ["ours"]


def test_the_console_form_is_for_people():
    """The console form is a line of text, not JSON."""
    (line,) = lines_of("log.info('hello')", form="console")
    assert "hello" in line
    assert not line.startswith("{")


def test_a_foreign_message_that_repeats_is_written_once_in_a_while():
    """A library that complains in a loop gets one line in ten seconds, which counts the ones left out."""
    now = 0.0
    quiet = QuietRepeats(clock=lambda: now)

    def record(number):
        return logging.LogRecord("aiokafka", logging.ERROR, "f", 1, "no node %d", (number,), None)

    assert quiet.filter(record(1))
    assert not quiet.filter(record(2))
    assert not quiet.filter(record(3))
    now = REPEAT_SECONDS
    last = record(4)
    assert quiet.filter(last)
    assert last.getMessage() == "no node 4 (and 2 times more since it was last written)"


def test_our_own_messages_are_never_dropped():
    """What this product says is written every time."""
    quiet = QuietRepeats(clock=lambda: 0.0)
    record = logging.LogRecord("actionbus.orchestrator", logging.ERROR, "f", 1, "again", (), None)
    assert all(quiet.filter(record) for _ in range(3))
