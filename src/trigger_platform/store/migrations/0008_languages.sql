-- Workers of several languages may serve one development environment: see engine/language.py.

alter table worker add column language text not null default 'python';
alter table environment add column is_mixed integer not null default 0;
