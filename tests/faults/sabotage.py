"""Each rule that a promise rests on, what is taken out of the shipped code, and the test that fails without it."""

from dataclasses import dataclass

PROTOCOL = "tests/protocol/test_rules.py"
SIMULATION = "tests/simulation/test_sabotage.py"
INBOX = "tests/worker/test_rules.py"


@dataclass(frozen=True)
class Sabotage:
    """One rule."""

    rule: str
    removed: str
    """What is changed in the shipped code, in words."""
    test: str
    """The node id of the pytest that makes the change and sees a promise broken."""


def _protocol(rule: str, removed: str, test: str) -> Sabotage:
    return Sabotage(rule, removed, f"{PROTOCOL}::{test}")


def _simulated(rule: str, breakage: str, *, wide: bool = False) -> Sabotage:
    test = "test_a_breakage_of_what_is_wide_is_noticed" if wide else "test_a_breakage_is_noticed"
    return Sabotage(rule, breakage, f"{SIMULATION}::{test}[{breakage}]")


def _inbox(rule: str, removed: str, name: str) -> Sabotage:
    return Sabotage(rule, removed, f"{INBOX}::test_without_a_rule_its_scenario_fails[{name}]")


OWNERS = (
    _protocol(
        "Of two owners at most one can write: the first transaction is on A",
        "the first transaction is on B",
        "test_rule_a_crossing_takeovers_leave_one_history",
    ),
    _protocol(
        "Both transactional ids are fenced before anything is read",
        "the state is read between the two fences",
        "test_rule_a_both_ids_are_fenced_before_anything_is_read",
    ),
    Sabotage(
        "Transactional ids are fixed",
        "the second id is a new one for each owner",
        "tests/protocol/test_random_schedules.py::test_random_schedules_notice_a_missing_rule",
    ),
    _protocol(
        "After an unknown outcome no producer is used again",
        "one of the two is kept",
        "test_rule_b_after_a_doubt_both_ids_are_taken_again",
    ),
    _protocol(
        "After an unknown outcome memory is dropped",
        "the shard goes on as if the transaction had been committed",
        "test_after_a_doubt_memory_is_dropped",
    ),
    _simulated("What its predecessor left open is ended as it was to end", "what stays open is not ended"),
    _simulated(
        "A transaction begins when the one before has its markers",
        "nobody looks whether the last transaction stays open",
    ),
    _protocol(
        "State and position share one record batch",
        "they are two batches of one transaction",
        "test_rule_c_a_torn_transaction_parts_no_run_from_its_position",
    ),
    _protocol(
        "The position is a record beside the state",
        "it is an offset that may be ahead, as a group's is",
        "test_the_position_is_that_of_the_state",
    ),
    _protocol(
        "A transaction begins when the one before is acknowledged",
        "it begins while the one before is out",
        "test_rule_j_a_transaction_begins_when_the_one_before_is_acknowledged",
    ),
    Sabotage(
        "A commit looks at the answer to every batch",
        "any answer counts as success",
        "tests/kafka/test_transaction.py::test_a_commit_that_looks_at_no_answer_would_be_half_of_it",
    ),
    _protocol(
        "A shard that is dropped ends",
        "its cancellation is caught like an error",
        "test_a_shard_that_is_dropped_ends",
    ),
)
COMMANDS = (
    _protocol(
        "Commands go out after the commit",
        "they go out when the transaction leaves",
        "test_commands_go_out_after_the_commit",
    ),
    _protocol(
        "Commands derive from the runs after the whole batch",
        "they are collected fold by fold",
        "test_rule_d_commands_derive_from_the_runs_after_the_whole_batch",
    ),
    _protocol(
        "A gap below the mark of what is out is never claimed",
        "the highest acknowledged number is the mark",
        "test_rule_e_a_gap_below_the_mark_is_never_claimed",
    ),
    _protocol(
        "Commands that a takeover sends again count under their old number",
        "they do not count",
        "test_rule_e_commands_sent_again_count_under_their_old_number",
    ),
    _protocol(
        "A takeover sends compensations again as well",
        "it sends only steps that run forward",
        "test_rule_f_a_takeover_sends_compensations_again",
    ),
    _simulated("What is on a wrong partition is handed on", "what went astray is carried out", wide=True),
    _simulated("What is on a wrong partition is not lost", "what went astray is dropped", wide=True),
    Sabotage(
        "What cannot be read is set aside",
        "it is skipped",
        "tests/orchestrator/test_bad_input.py::test_junk_that_is_passed_over_in_silence_would_be_missed",
    ),
)
STEPS = (
    Sabotage(
        "The engine knows no clock",
        "it adds what a clock says",
        "tests/engine/test_sabotage.py::test_a_breakage_is_caught[the engine looks at a clock]",
    ),
    Sabotage(
        "What undoes a step is registered when the step is sent",
        "it is not",
        "tests/engine/test_sabotage.py::test_a_breakage_is_caught[a compensation is not registered]",
    ),
    _protocol(
        "A step that is being undone ignores its late success",
        "the success ends the undo",
        "test_rule_g_a_step_that_is_being_undone_ignores_its_success",
    ),
    _protocol(
        "The step that failed is undone as well",
        "only those before it are",
        "test_rule_h_the_failed_step_is_undone_as_well",
    ),
    _protocol(
        "An ended run is kept for as long as its start may come again",
        "it is forgotten at once",
        "test_rule_j_an_ended_run_stays_for_as_long_as_its_start_may_come_again",
    ),
)
WORKERS = (
    Sabotage(
        "A worker commits an offset after the result is acknowledged",
        "it counts as finished when the result is sent",
        f"{INBOX}::test_without_that_order_a_result_is_lost",
    ),
    _inbox(
        "The inbox row and the effect are one commit",
        "the row is committed before user code runs",
        "the row and the effect are one commit",
    ),
    _simulated("An effect stands or falls with its inbox row", "an effect does not need its row"),
    _inbox(
        "A compensation closes the step first: a CANCELLED row meets who comes late",
        "no row is written",
        "a compensation closes the step first",
    ),
    _inbox(
        "A compensation has a row of its own",
        "its row is that of its attempt",
        "a compensation has a row of its own",
    ),
    _inbox(
        "A commit of unknown outcome is looked at again",
        "it counts as done",
        "an unknown commit is looked at again",
    ),
    Sabotage(
        "All attempts of a call have one idempotency key",
        "each attempt has its own",
        "tests/worker/test_calls.py::test_a_new_key_for_each_attempt_would_do_it_twice",
    ),
)
READERS = (
    Sabotage(
        "The projector reads what is committed",
        "it reads everything",
        "tests/projector/test_projector.py::test_reading_what_is_not_committed_would_be_seen",
    ),
    Sabotage(
        "An event is written once, by the version of its run",
        "the version is not looked at",
        "tests/visibility/test_writing.py::test_without_a_look_at_the_version_rows_would_differ",
    ),
)
FAULTS = (
    Sabotage(
        "The transactional ids of a shard are the same for all who own it",
        "each owner has ids of its own",
        "tests/faults/test_claims.py::test_owners_with_ids_of_their_own_fork_the_history",
    ),
    Sabotage(
        "After silence a producer is never used again",
        "it sends the end of its transaction once more, as the library does",
        "tests/faults/test_noticed.py::test_a_producer_that_goes_on_after_silence_tears_a_transaction",
    ),
    Sabotage(
        "A refused end is no commit",
        "the refusal is passed over",
        "tests/faults/test_noticed.py::test_a_refused_end_that_counts_as_a_commit_is_noticed",
    ),
    Sabotage(
        "Every attempt asks a peer under the same key",
        "each attempt has a key of its own",
        "tests/faults/test_peers.py::test_without_a_rule_the_log_of_the_peer_shows_it"
        "[every attempt asks under the same key]",
    ),
    Sabotage(
        "Nothing is sent to a peer after the window of its keys",
        "the window is not looked at",
        "tests/faults/test_peers.py::test_without_a_rule_the_log_of_the_peer_shows_it[nothing is sent after the window]",
    ),
)
SABOTAGES: tuple[Sabotage, ...] = (*OWNERS, *COMMANDS, *STEPS, *WORKERS, *READERS, *FAULTS)


def table() -> str:
    """All of them as a table of Markdown."""
    rows = [f"| {each.rule} | {each.removed} | `{each.test}` |" for each in SABOTAGES]
    return "\n".join(("| rule | what is taken out | the test that fails without it |", "| --- | --- | --- |", *rows))
