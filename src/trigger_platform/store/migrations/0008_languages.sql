-- Workers of several languages may serve one development environment: see engine/language.py.

alter table worker add column language text not null default 'python';
alter table environment add column is_mixed integer not null default 0;

-- The version that is current in each language.
create table current_worker (
    environment_id text not null references environment (id),
    language text not null,
    worker_id text not null references worker (id),
    primary key (environment_id, language)
){clustered};

insert into current_worker (environment_id, language, worker_id)
select id, 'python', current_worker_id from environment where current_worker_id is not null;
