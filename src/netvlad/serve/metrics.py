"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counts of one server. Nothing in them tells of a photo or of who asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stage = Histogram(
            "netvlad_stage_seconds",
            "Seconds in a stage: read (a body), decode, wait (for a forward pass), describe and search (a batch), "
            "total (a request to locate)",
            ["stage"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        for stage in ("read", "decode", "wait", "describe", "search", "total"):
            self.stage.labels(stage)
        self.requests = Counter("netvlad_requests", "Answers", ["route", "status"], registry=self.registry)
        self.photos = Counter("netvlad_photos", "Photos by outcome", ["outcome"], registry=self.registry)
        self.batch = Histogram(
            "netvlad_batch_photos",
            "Photos of a forward pass",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self.waiting = Gauge("netvlad_photos_in_work", "Photos in work or waiting", registry=self.registry)
        self.memory = Gauge("netvlad_body_bytes", "Bytes of bodies in memory", registry=self.registry)

    def seconds(self, stage: str, seconds: float) -> None:
        """Record the time of a stage."""
        self.stage.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """In the format of Prometheus."""
        return generate_latest(self.registry)
