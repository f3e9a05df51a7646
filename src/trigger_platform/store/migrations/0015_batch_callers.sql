-- The items of a batch come in requests of their own; who triggers them is known from the first one alone.

-- The run whose code triggers the batch and goes on.
alter table batch add column triggered_by text;
-- What that code said about its place in a trace (JSON): see engine/trace.py.
alter table batch add column caller text;
