"""Looks for bytes that break a reader, led by what its code does with them: `python -m tests.fuzzing --seconds 60 cron`.

Without names every target has its turn. What breaks one is kept in `findings/TARGET/`, and is a test from then on. The
inputs that led on are kept in `.cache/fuzzing`, so that a later search goes on from there.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent
ROOT = TESTS.parent
CORPUS = ROOT / ".cache" / "fuzzing"
LONGEST_SECONDS = 60  # for one input; beyond it libFuzzer calls it a finding
MOST_MEBIBYTES = 2_048
MISSING = "atheris is not installed: `make fuzz` does it where there is a wheel or clang for this machine and Python"


def main() -> int:
    """One process for each target, as libFuzzer ends the one that it runs in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    try:
        import atheris  # noqa: F401 - optional: it needs a wheel for this very machine
    except ImportError:
        sys.stderr.write(f"{MISSING}\n")
        return 2
    if asked.one:
        return _search(asked.one, asked.seconds)
    from fuzzing.targets import TARGETS

    if unknown := set(asked.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    broken: list[str] = []
    for name in asked.targets or TARGETS:
        command = [sys.executable, "-m", "tests.fuzzing", "--one", name, "--seconds", str(asked.seconds)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, errors="replace")
        said = [line for line in done.stderr.splitlines() if line.startswith("Done")]
        _say(f"{name}: {'BROKEN' if done.returncode else 'ok'} {' '.join(said)}")
        if done.returncode:
            broken.append(name)
            _say("\n".join(done.stderr.splitlines()[-40:]))
    _say(f"{len(broken)} targets broke: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


def _checking(target):
    def check(data: bytes) -> None:
        target.check(data)

    return check


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _search(name: str, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=["actionbus", "cronsim", "yaml"]):
        from fuzzing.targets import TARGETS
    target = TARGETS[name]
    corpus, seeds = CORPUS / name, CORPUS / "seeds" / name
    for folder in (corpus, seeds, HERE / "findings" / name):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(seed)
    options = [
        *(f"-max_total_time={seconds}", f"-timeout={LONGEST_SECONDS}", f"-rss_limit_mb={MOST_MEBIBYTES}"),
        *("-max_len=4096", "-print_final_stats=1", f"-artifact_prefix={HERE / 'findings' / name}/"),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus), str(seeds)], _checking(target))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
