"""How the orchestrators and Kafka get along: shards, transactions, lag, and what arrived wrong."""

from actionbus.provisioner.dashboards.board import Board, board
from actionbus.provisioner.dashboards.panels import Panel, graph, most, number, quantile, rate, total


def shards() -> Board:
    """From ownership to the proof that nothing is doubled."""
    return board(
        "shards",
        "shards and Kafka",
        [
            number("Shards owned", "Their sum is constant but for seconds.", "sum(actionbus_shards_owned)"),
            number("Commits per second", "Transactions.", rate("actionbus_txn_commits_total"), unit="ops"),
            number(
                "In doubt",
                "Share of the transactions that were not cleanly committed.",
                f"{rate('actionbus_txn_aborts_total')} / "
                f"({rate('actionbus_txn_aborts_total')} + {rate('actionbus_txn_commits_total')} > 0) or vector(0)",
                unit="percentunit",
                warn_above=0.01,
                red_above=0.05,
            ),
            number(
                "Oldest input",
                "Age of the oldest request or result that is not taken in.",
                'max(actionbus_consumer_lag_age_seconds{job="orchestrator"})',
                unit="s",
                warn_above=10,
                red_above=60,
            ),
            number(
                "Held back",
                "How long an open transaction has held back its readers.",
                "max(actionbus_lso_lag_seconds)",
                unit="s",
                warn_above=10,
                red_above=60,
            ),
            number("Forged results", "Since the processes began.", "sum(actionbus_forged_results_total)", red_above=1),
            *_owning(),
            *_committing(),
            *_arriving(),
        ],
    )


def _owning() -> list[Panel]:
    return [
        graph(
            "Shards owned",
            "By process; their sum is constant but for seconds.",
            total("actionbus_shards_owned", "instance"),
        ),
        graph(
            "Takeovers",
            "From the assignment of a shard to its first batch, and the reading of its state in it, p99.",
            (quantile(0.99, "actionbus_shard_takeover_seconds"), "takeover"),
            (quantile(0.99, "actionbus_state_restore_seconds"), "restore"),
            unit="s",
        ),
        graph(
            "Rebuilds and rebalances",
            "In five minutes. Storms mean that processes die or starve.",
            ("sum by (reason) (increase(actionbus_producer_rebuilds_total[5m]))", "rebuilt: {{reason}}"),
            ("sum by (job) (increase(actionbus_rebalances_total[5m]))", "rebalanced: {{job}}"),
        ),
    ]


def _committing() -> list[Panel]:
    return [
        graph(
            "Transactions",
            "Commits, and all that was not a clean commit, per second.",
            (rate("actionbus_txn_commits_total"), "committed"),
            (rate("actionbus_txn_aborts_total"), "aborted or in doubt"),
            unit="ops",
        ),
        graph(
            "Duration of a transaction",
            "From begin to acknowledged commit.",
            (quantile(0.5, "actionbus_txn_duration_seconds"), "p50"),
            (quantile(0.99, "actionbus_txn_duration_seconds"), "p99"),
            unit="s",
            warn_above=1,
        ),
        graph(
            "Timers",
            "How late timers fire, p99. A point is a run's trace.",
            (quantile(0.99, "actionbus_timer_fire_delay_seconds"), "p99"),
            unit="s",
            warn_above=5,
        ),
    ]


def _arriving() -> list[Panel]:
    return [
        graph("Lag", "Records that wait, by topic.", total("actionbus_consumer_lag_records", "topic")),
        graph(
            "Age of the lag",
            "Age of the oldest record that waits, by topic.",
            most("actionbus_consumer_lag_age_seconds", "topic"),
            unit="s",
        ),
        graph(
            "Held back by open transactions",
            "How long the last stable offset has stood still below the end. More than a transaction may take: look who "
            "left one open.",
            most("actionbus_lso_lag_seconds", "topic"),
            unit="s",
            red_above=60,
        ),
        graph(
            "Harmless by design",
            "What arrived twice, late, forged or astray and changed nothing, per second. Forged needs an inquiry.",
            (rate("actionbus_duplicate_results_total"), "duplicate results"),
            (rate("actionbus_stale_results_total"), "stale results"),
            (rate("actionbus_forged_results_total"), "forged results"),
            (rate("actionbus_misrouted_records_total"), "misrouted records"),
            (rate("actionbus_records_ignored_total"), "records that nobody could read"),
            unit="ops",
        ),
        graph(
            "Dead letters",
            "In five minutes, by reason.",
            ("sum by (reason) (increase(actionbus_dead_letters_total[5m]))", "{{reason}}"),
        ),
    ]
