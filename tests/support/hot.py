"""Statements whose cost must not grow with the tables."""

from __future__ import annotations

__all__ = ["HOT"]

HOT = [
    "run_by_id",
    "runs_by_ids",
    "run_by_idempotency_key",
    "runs_claimable",
    "runs_claimable_of_queue",
    "claimable_at_most",
    "queues_by_name",
    "queues_with_keys",
    "queues_waiting",
    "keys_waiting",
    "positions_waiting",
    "ahead_at_most",
    "lines_resuming",
    "runs_resuming",
    "slots_of_environment",
    "runs_due",
    "runs_of_boot",
    "slots_held",
    "run_transition",
    "run_next_due",
    "waitpoints_due",
    "edges_of_waitpoints",
    "edge_open",
    "waitpoints_of_runs",
    "batches_over",
    "payloads_of",
    "task_of_worker",
    "read_logs",
    "read_snapshots",
    "runs_by_ids_locked",
    "run_output",
    "run_extend_lease",
    "waitpoint_complete",
    "waitpoints_pending_locked",
    "edges_delete",
    "edge_deliver",
]
