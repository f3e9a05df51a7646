"""5,000 no-op runs through the HTTP API, the worker and the database; warm processes, and one per attempt."""

from __future__ import annotations

import os
import time
from pathlib import Path

import floor
from bench import Session, keep, project, show
from floor import postgres

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(session: Session, task: str, count: int) -> dict[str, float]:
    """Trigger and execute runs; return rates, and where the CPU time went."""
    platform, worker = session.pid_of("trigger_platform"), session.pid_of("trigger_worker")
    before = cpu_seconds(platform), cpu_seconds(worker)
    began = time.perf_counter()
    run_ids = session.trigger(task, count)
    triggered = time.perf_counter()
    session.wait(run_ids)
    ended = time.perf_counter()
    return {
        "runs per second": count / (ended - began),
        "triggers per second": count / (triggered - began),
        "platform ms CPU per run": (cpu_seconds(platform) - before[0]) / count * 1000,
        "worker ms CPU per run": (cpu_seconds(worker) - before[1]) / count * 1000,
        "both cores ms per run": (ended - began) * (os.cpu_count() or 1) / count * 1000,
    }


def reused_on_postgres() -> dict[str, float]:
    """Measure warm processes with the platform's data on a PostgreSQL server of this machine."""
    server = postgres.launch(settings={})
    with project() as folder:
        session = Session(folder, "--database", server.database())
        session.wait(session.trigger("noop-reused", 500))
        tries = [measure(session, "noop-reused", 5_000) for _ in range(3)]
        session.stop()
    return sorted(tries, key=lambda one: one["runs per second"])[1]


def main() -> None:
    """Measure three times each; report the medians by rate."""
    engine = floor.on_sqlite(durable=False)
    values = {}
    with project() as folder:
        session = Session(folder)
        session.wait(session.trigger("noop-reused", 200))
        session.wait(session.trigger("noop-own", 50))
        for task, count in (("noop-reused", 5_000), ("noop-own", 1_000)):
            tries = [measure(session, task, count) for _ in range(3)]
            values[task] = sorted(tries, key=lambda one: one["runs per second"])[1]
        began = time.perf_counter()
        for _ in range(1_000):
            session.trigger_one("noop-reused", delay="1h")
        values["single"] = {"triggers per second": 1_000 / (time.perf_counter() - began)}
        session.stop()
    values["noop-reused on PostgreSQL"] = reused_on_postgres()
    reused, own = values["noop-reused"], values["noop-own"]
    served = values["noop-reused on PostgreSQL"]
    engine_ms = 1000 / engine["whole lifecycles"]
    rest = reused["both cores ms per run"] - reused["platform ms CPU per run"]
    rest -= reused["worker ms CPU per run"]
    rows = [
        ("reused processes, 5,000 runs", f"{reused['runs per second']:,.0f}/s", ">= 2,200/s"),
        (
            "the same on PostgreSQL",
            f"{served['runs per second']:,.0f}/s",
            ">= 1,500/s",
        ),
        (
            "triggers accepted in batches on PostgreSQL",
            f"{served['triggers per second']:,.0f}/s",
            "",
        ),
        ("a process per attempt, 1,000 runs", f"{own['runs per second']:,.0f}/s", ">= 300/s"),
        ("raw engine, same run", f"{engine['whole lifecycles']:,.0f}/s", ""),
        (
            "ratio of reused to raw engine",
            f"{reused['runs per second'] / engine['whole lifecycles']:.2f}",
            "",
        ),
        ("triggers accepted in batches", f"{reused['triggers per second']:,.0f}/s", ">= 3,000/s"),
        (
            "triggers accepted one by one",
            f"{values['single']['triggers per second']:,.0f}/s",
            ">= 1,000/s",
        ),
    ]
    show("Throughput", rows)
    show(
        "Where the time of a reused run goes (ms of CPU, of two cores)",
        [
            ("engine and SQLite, measured alone", f"{engine_ms:.2f}", ""),
            (
                "platform process in all on PostgreSQL",
                f"{served['platform ms CPU per run']:.2f}",
                "",
            ),
            ("platform process in all", f"{reused['platform ms CPU per run']:.2f}", ""),
            ("run controller", f"{reused['worker ms CPU per run']:.2f}", ""),
            ("executors, client, session, idle", f"{rest:.2f}", ""),
        ],
    )
    keep("throughput", {**values, "raw engine": engine})


if __name__ == "__main__":
    main()
