"""The services that read events and answer people: the projector and the gateway."""

from actionbus.provisioner.dashboards.board import Board, board
from actionbus.provisioner.dashboards.panels import Panel, graph, most, number, quantile, rate, total


def readers() -> Board:
    """How far the visibility database is behind, and how the gateway answers."""
    requests = "actionbus_gateway_request_duration_seconds"
    return board(
        "readers",
        "projector and gateway",
        [
            number("Projectors", "That answer.", 'sum(up{job="projector"})'),
            number("Gateways", "That answer.", 'sum(up{job="gateway"})'),
            number("Requests per second", "To the gateways.", rate(f"{requests}_count"), unit="ops"),
            number(
                "Behind",
                "Age of the oldest event that is not in the visibility database.",
                "max(actionbus_projector_lag_seconds)",
                unit="s",
                warn_above=10,
                red_above=120,
            ),
            number(
                "Version gaps",
                "Events that were missing between two of a run, since the processes began.",
                "sum(actionbus_event_version_gaps_total)",
                red_above=1,
            ),
            graph(
                "Requests",
                "By status, per second.",
                (rate(f"{requests}_count", "status"), "{{status}}"),
                unit="ops",
            ),
            graph(
                "Duration of a request",
                "Half of them, and all but one in a hundred. Waiting for a result counts as long as it lasts.",
                (quantile(0.5, requests), "p50"),
                (quantile(0.99, requests), "p99"),
                unit="s",
            ),
            *_writing(),
        ],
    )


def _writing() -> list[Panel]:
    return [
        graph(
            "Events behind",
            "Events that are not in the visibility database.",
            total("actionbus_consumer_lag_records", "instance", 'job="projector"'),
        ),
        graph(
            "Age of the oldest",
            "How old the oldest of them is.",
            most("actionbus_projector_lag_seconds", "instance"),
            unit="s",
        ),
        graph(
            "Events read",
            "By what became of them, per second.",
            (rate("actionbus_projector_events_total", "outcome"), "{{outcome}}"),
            (rate("actionbus_projector_lost_offsets_total"), "removed unread"),
            unit="ops",
        ),
        graph(
            "Writing a batch",
            "Until its commit, p99.",
            (quantile(0.99, "actionbus_projector_batch_seconds"), "p99"),
            unit="s",
        ),
        graph("Streams", "Event streams and waits that are open.", total("actionbus_gateway_streams_open", "instance")),
    ]
