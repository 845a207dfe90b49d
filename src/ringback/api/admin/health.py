"""Whether the server lives, whether it takes calls, what it counts, which version it is."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ringback.api.responses import reply
from ringback.api.services import ServicesOf

router = APIRouter(tags=["Operation"])

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz", summary="Whether the process lives")
async def health() -> Response:
    """Answer 200 as long as the loop turns."""
    return reply(200, {"status": "ok"})


@router.get("/readyz", summary="Whether calls are taken")
async def readiness(services: ServicesOf) -> Response:
    """Answer 200 when calls are taken, else 503 with the reasons."""
    reasons = list(services.readiness.unready_reasons())
    if reasons:
        return reply(503, {"status": "not ready", "reasons": reasons, "error": "; ".join(reasons)})
    return reply(200, {"status": "ready"})


@router.get("/metrics", summary="Metrics in the Prometheus text format")
async def metrics(services: ServicesOf) -> Response:
    """Return all metrics."""
    return Response(await services.metrics.render(), media_type=METRICS_TYPE)


@router.get("/ringback/v1/version", summary="Version")
async def version(services: ServicesOf) -> Response:
    """Return the version of the server."""
    return reply(200, {"version": services.settings.version})
