"""What the service counts, for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from openclap.serve.batching import BatchQueue

__all__ = ["TYPE", "Metrics"]

TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one service; several services in one process have their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("openclap_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.seconds = Histogram(
            "openclap_request_seconds",
            "From the first byte of a request to the last of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "openclap_batch_size", "Clips or texts computed together", ["lane"], buckets=SIZES, registry=self.registry
        )
        self.queue = Gauge("openclap_queue", "Jobs that wait in a queue", ["lane"], registry=self.registry)
        self.in_work = Gauge("openclap_requests_in_work", "Requests accepted and not answered", registry=self.registry)
        self.sockets = Gauge("openclap_sockets", "Websockets open", registry=self.registry)
        self.events = Counter("openclap_events", "Events told over websockets", registry=self.registry)

    def watch(self, queue: BatchQueue[Any, Any]) -> None:
        """Add the length of a queue to the metrics; it is asked for at every reading."""
        self.queue.labels(queue.name).set_function(lambda: queue.waiting)

    def count(self, route: str, status: int, seconds: float | None) -> None:
        """Count a request that has ended and its seconds; None for a websocket."""
        self.requests.labels(route, str(status)).inc()
        if seconds is not None:
            self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Write all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
