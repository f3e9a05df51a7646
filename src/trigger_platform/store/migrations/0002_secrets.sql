-- What opens an environment stands in the database as a hash, to be looked up, and sealed, to sign with.
-- A server that opens an older database turns the plain keys it finds into both.
alter table environment rename column secret_key to secret_key_hash;

alter table environment add column secret_key_sealed text;

-- Counts the changes of the variables that are marked secret, of the environment and its parent.
alter table environment add column secrets_version bigint not null default 0;

-- What the tasks of an environment find in their process environment. A branch has what its parent has, and its
-- own values before those. The values are sealed; `source` is JSON and says who wrote one last.
create table environment_variable (
    environment_id text not null references environment (id),
    name text not null,
    sealed text not null,
    is_secret integer not null,
    version integer not null,
    source text,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (environment_id, name)
){clustered};
