"""Commands and services without the wait for their imports: each is a process of its own, forked from one that has them.

Most of the time of a command goes into imports, and they are the same each time. What is forked gets its arguments, its
environment, its folder and its streams, runs ``main``, and ends as any process does: by itself, by a signal, or with
whoever tests. What is started with other code or with a variable of the loader is ``python -m actionbus.cli.main``.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "actionbus.cli.main"]
MOST_BYTES = 150_000  # of arguments and environment: what a socket takes at once
IMPORTED_SECONDS = 240.0  # the first waits for the imports
STREAMS = 3  # in, out, errors
_ORIGIN: "list[Origin]" = []  # one for a process that tests, made when it is needed


def run(
    *arguments: str, env: dict[str, str], cwd: Path, timeout: float, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as ``subprocess.run`` does with ``capture_output``; raises TimeoutExpired."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        given.write((stdin or "").encode())
        given.seek(0)
        begun = _forked(arguments, env, cwd, [each.fileno() for each in (given, out, errors)])
        try:
            code = begun.wait(timeout)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
            raise
        said = []
        for each in (out, errors):
            each.seek(0)
            said.append(each.read().decode())
    return subprocess.CompletedProcess([*COMMAND, *arguments], code, *said)


def begin(*arguments: str, env: dict[str, str], cwd: Path, log: int) -> "Begun | subprocess.Popen[bytes]":
    """Start a service; what it says goes to a file descriptor. Call it in the main thread."""
    if _is_too_late(env):
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=env,
            stdout=log,
            stderr=log,
            cwd=cwd,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - prctl alone is safe after fork
        )
    with Path(os.devnull).open() as nothing:
        return _forked(arguments, env, cwd, [nothing.fileno(), log, log])


def run_anew(*arguments: str, env: dict[str, str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """The same without a fork, for the code that the environment names."""
    given = [*COMMAND, *arguments]
    return subprocess.run(given, env=env, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)


def _is_too_late(env: dict[str, str]) -> bool:
    """Whether the environment asks for something that is decided when a process is started."""
    other_code = any(Path(each, "actionbus").is_dir() for each in _paths(env))
    return other_code or env.get("LD_PRELOAD") != os.environ.get("LD_PRELOAD")


def _paths(env: dict[str, str]) -> list[str]:
    """Where modules are looked for besides, first of all."""
    return [each for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]


class Origin:
    """The process that has imported the command line and is forked, as the tests see it."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    def close(self) -> None:
        """It ends when nobody can ask it any more."""
        self._channel.close()
        self._process.wait()

    def begin(self, request: dict, streams: list[int]) -> tuple[int, int]:
        """Begin a command on these streams; its process id, and a pipe that will tell its exit code."""
        answer, theirs = os.pipe()
        text = json.dumps(request).encode()
        assert len(text) < MOST_BYTES
        socket.send_fds(self._channel, [text], [*streams, theirs])
        os.close(theirs)
        pid = _number(answer, IMPORTED_SECONDS)
        assert pid is not None, "no command can be started: what stands on standard error says why"
        return pid, answer


def _forked(arguments: tuple[str, ...], env: dict[str, str], cwd: Path, streams: list[int]) -> "Begun":
    if not _ORIGIN:
        _ORIGIN.append(Origin())
    request = {"arguments": arguments, "env": env, "cwd": str(cwd)}
    return Begun([*COMMAND, *arguments], *_ORIGIN[0].begin(request, streams))


class Begun:
    """A process that was forked, as much of a `subprocess.Popen` as tests need of one."""

    def __init__(self, args: list[str], pid: int, answer: int) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self._answer = answer

    def poll(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; raises TimeoutExpired."""
        if self.returncode is None:
            code = _number(self._answer, timeout)
            if code is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = code
            os.close(self._answer)
        return self.returncode

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere do nothing."""
    import ctypes

    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG


def _number(pipe: int, seconds: float | None) -> int | None:
    """The next number out of a pipe; None when it does not come in time, or never."""
    text = b""
    while not text.endswith(b"\n"):
        if not select.select([pipe], [], [], seconds)[0] or not (piece := os.read(pipe, 1)):
            return None
        text += piece
    return int(text)


def _serve(channel: socket.socket) -> bool:
    """Carry out requests until nobody is there any more; True in a process that is to be a command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who wait for a command end alone
    while True:
        text, descriptors, *_ = socket.recv_fds(channel, MOST_BYTES, STREAMS + 1)
        if not text:
            return False
        if os.fork() == 0:
            channel.close()
            if _wait_for_own(descriptors[STREAMS]):
                _become(json.loads(text), descriptors)
                return True
            os._exit(0)
        for each in descriptors:
            os.close(each)


def _wait_for_own(answer: int) -> bool:
    """Fork a command, tell its process id and how it ended; True in the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with_parent()
    if (pid := os.fork()) == 0:
        die_with_parent()
    else:
        os.write(answer, b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        os.write(answer, b"%d\n" % os.waitstatus_to_exitcode(status))
    return not pid


def _become(request: dict, descriptors: list[int]) -> None:
    for number in range(STREAMS):
        os.dup2(descriptors[number], number)
    for each in descriptors:
        os.close(each)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["actionbus", *request["arguments"]]
    sys.path[:1] = [request["cwd"], *_paths(request["env"])]


if __name__ == "__main__":
    import actionbus.gateway.service
    import actionbus.orchestrator.service
    import actionbus.projector.service
    import actionbus.worker.service  # noqa: F401 - for those that are forked
    from actionbus.cli import main

    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        is_command = _serve(asked)
    if is_command:
        main.main()
