"""Cleans a table with the data quality workflow, over HTTP and a WebSocket.

Start a server first (`steno serve`), then `python test_pipeline.py [URL]`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

URL = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"
GRAPH = json.loads((Path(__file__).parent / "data_quality.json").read_text("utf-8"))
ROWS: list[dict[str, Any]] = [
    *({"id": n, "city": ("Bern", "Basel")[n % 2], "price": 10.0 + n % 5} for n in range(1, 60)),
    {"id": 59, "city": "Basel", "price": 14.0},
    {"id": 60, "city": "bern ", "price": 99999.0},
    {"id": 61, "city": None, "price": None},
]
STATE = {"initial_state": {"rows": ROWS, "threshold": 0}}


def main() -> None:
    """Create the graph, run it at once, in the background, and with everything told live."""
    with httpx.Client(base_url=URL, timeout=60) as client:
        names = [tool["name"] for tool in asked(client.get("/api/tools"))["items"]]
        print(f"{len(names)} tools: {', '.join(names)}")
        graph_id = asked(client.post("/api/graph/create", json={"graph": GRAPH}))["graph_id"]
        print(f"created graph {graph_id}")
        body = {"graph_id": graph_id, **STATE}

        run = asked(client.post("/api/graph/run", json=body))
        tell(run)
        for rule in run["final_state"]["rules"]:
            print(f"  rule: {json.dumps(rule)}")

        begun = asked(client.post("/api/graph/run-async", json=body))
        follow(f"/ws/monitor/{begun['run_id']}")
        tell(asked(client.get(f"/api/graph/state/{begun['run_id']}")))

        follow(f"/ws/execute/{graph_id}", STATE)


def asked(answer: httpx.Response) -> Any:
    """Return what a request is answered with; ends the program when it was refused."""
    if answer.is_error:
        sys.exit(f"{answer.request.url}: {answer.json()['detail']}")
    return answer.json()


def tell(run: dict[str, Any]) -> None:
    """Say how a run ended."""
    state = run["current_state"]
    left = f"{state['anomalies_before']} anomalies before, {state['anomaly_count']} left"
    print(f"run {run['run_id']} {run['status']}: {left}, {len(state['rules'])} rules")


def follow(path: str, first: Any = None) -> None:
    """Say each node that is entered, as a WebSocket tells it, up to the end of the run."""
    with connect(URL.replace("http", "ws", 1) + path, max_size=None) as socket:
        if first is not None:
            socket.send(json.dumps(first))
        for message in map(json.loads, socket):
            if message["type"] == "log" and message["log"]["type"] == "node.entered":
                print(f"  {message['log']['seq']:>4} {message['log']['data']['node']}")
            elif message["type"] == "status":
                print(f"  {message['message']}")


if __name__ == "__main__":
    try:
        main()
    except (httpx.TransportError, OSError) as error:
        sys.exit(f"no server answers at {URL} ({error}); start one with steno serve")
