"""``/metrics``: what was gathered, as Prometheus reads it.

Prometheus' own library is imported when somebody first asks, and on a thread of its own: until then
it costs a server nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.openapi import ResponseSpec
from litestar.response import Response

from stenograph.engine import Engine
from stenograph.http.problems import problems
from stenograph.http.streaming.subscribers import Subscribers
from stenograph.http.watch.gathering import Family, Spread, gather
from stenograph.http.watch.loop_lag import LoopLag
from stenograph.http.watch.observing import Observer
from stenograph.journal import run_briefly

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

OPENMETRICS: Final = "application/openmetrics-text"
TEXT: Final = ResponseSpec(
    str,
    generate_examples=False,
    description="Samples, in Prometheus' text format",
    media_type="text/plain",
)


@get(
    "/metrics",
    responses={200: TEXT, **problems("not-found")},
    needs="read",
    summary="What there is to measure",
    tags=["Operations"],
)
async def metrics(
    request: Request[Any, Any, Any],
    engine: NamedDependency[Engine],
    observer: NamedDependency[Observer],
    lag: NamedDependency[LoopLag],
    subscribers: NamedDependency[Subscribers],
) -> Response[bytes]:
    """Tell what Prometheus asks, in its text format, or in OpenMetrics where `Accept` says so."""
    if not request.app.state["settings"].metrics:
        raise NotFoundException
    families = await gather(engine, observer, lag, subscribers)
    is_open = OPENMETRICS in request.headers.get("accept", "")
    text, media_type = await run_briefly(partial(rendered, families, is_open=is_open))
    return Response(text, headers={"Content-Type": media_type})


def rendered(families: Sequence[Family], *, is_open: bool) -> tuple[bytes, str]:
    """Return families of samples as text, and what kind of text that is."""
    from prometheus_client import CollectorRegistry, ProcessCollector, exposition
    from prometheus_client.openmetrics import exposition as openmetrics

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Gathered(families))
    if is_open:
        generate: Any = openmetrics.generate_latest  # which says nothing of its types
        return generate(registry), openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest(registry), exposition.CONTENT_TYPE_PLAIN_0_0_4


class Gathered:
    """What was gathered, as a collector of Prometheus'."""

    def __init__(self, families: Iterable[Family]) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        """Yield the families as Prometheus' library has them."""
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        kinds: dict[str, Any] = {
            "counter": CounterMetricFamily,
            "gauge": GaugeMetricFamily,
            "histogram": HistogramMetricFamily,
        }
        for each in self.families:
            metric = kinds[each.kind](each.name, each.says, labels=each.labels)
            for labels, value in each.samples.items():
                if isinstance(value, Spread):
                    metric.add_metric(labels, value.buckets, value.total)
                else:
                    metric.add_metric(labels, value)
            yield metric


HANDLERS = (metrics,)
