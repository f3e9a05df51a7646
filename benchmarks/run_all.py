"""All benchmarks, one after the other."""

from __future__ import annotations

import api
import claim
import engine
import fan_out
import floor
import kill
import latency
import realtime
import set_writes
import startup
import throughput

if __name__ == "__main__":
    for benchmark in (
        startup,
        floor,
        engine,
        claim,
        set_writes,
        latency,
        throughput,
        fan_out,
        kill,
        api,
        realtime,
    ):
        benchmark.main()
