-- Who may do what: organisations, users, their tokens, and environments of users and branches.

create table organization (
    id text primary key,
    slug text not null unique,
    title text not null,
    created_at bigint not null
);

create table app_user (
    id text primary key,
    email text not null unique,
    name text,
    -- Argon2id; none for those who log in elsewhere only.
    password_hash text,
    -- Who they are at the identity provider: its address and their subject there.
    external_id text unique,
    is_admin integer not null default 0,
    created_at bigint not null
);

create table member (
    organization_id text not null references organization (id),
    user_id text not null references app_user (id),
    role text not null,
    created_at bigint not null,
    primary key (organization_id, user_id)
){clustered};

create index member_user on member (user_id);

alter table project add column organization_id text references organization (id);
alter table project add column slug text;
alter table project add column initialized_at bigint;
alter table project add column deleted_at bigint;

create index project_organization on project (organization_id);

-- A user's environment of development has an owner; a branch has a parent, whose key opens it.
alter table environment add column owner_id text references app_user (id);
alter table environment add column parent_id text references environment (id);
alter table environment add column branch text;
alter table environment add column git text;
alter table environment add column updated_at bigint;
-- Public tokens that were signed before this moment are refused.
alter table environment add column tokens_since bigint not null default 0;

create unique index environment_branch on environment (parent_id, branch) where parent_id is not null;
create index environment_owner on environment (project_id, owner_id) where owner_id is not null;

-- A token is a user's or an organisation's.
alter table access_token add column user_id text references app_user (id);
alter table access_token add column organization_id text references organization (id);
alter table access_token add column role text;
alter table access_token add column hint text;
alter table access_token add column expires_at bigint;
alter table access_token add column last_used_at bigint;
alter table access_token add column revoked_at bigint;

create index access_token_user on access_token (user_id) where user_id is not null;
create index access_token_organization on access_token (organization_id) where organization_id is not null;

-- Keys beside the root key of an environment, which may be restricted to scopes.
create table environment_key (
    id text primary key,
    environment_id text not null references environment (id),
    key_hash text not null unique,
    name text not null,
    hint text not null,
    scopes text,
    created_by text,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint,
    created_at bigint not null
);

create index environment_key_environment on environment_key (environment_id);

-- Root keys that were replaced open their environment a while longer, and what they signed holds.
create table retired_key (
    key_hash text primary key,
    environment_id text not null references environment (id),
    sealed text not null,
    expires_at bigint not null
);

create index retired_key_environment on retired_key (environment_id);

-- Public tokens for one use that have been used, until they expire.
create table used_token (
    token text primary key,
    expires_at bigint not null
);

create index used_token_expiry on used_token (expires_at);

-- Supervisors that take runs of many environments.
create table worker_group (
    id text primary key,
    name text not null unique,
    description text,
    type text not null,
    token_hash text not null unique,
    last_heartbeat_at bigint,
    updated_at bigint not null,
    created_at bigint not null
);

-- A command line that asks to act for a user; the token is made when it is fetched, and never stored.
create table authorization_code (
    code_hash text primary key,
    asked_from text not null,
    user_id text references app_user (id),
    expires_at bigint not null,
    created_at bigint not null
);

create index authorization_code_expiry on authorization_code (expires_at);

create table login_session (
    token_hash text primary key,
    user_id text not null references app_user (id),
    expires_at bigint not null,
    created_at bigint not null
);

create index login_session_user on login_session (user_id);
create index login_session_expiry on login_session (expires_at);

-- What exists already belongs to the user of this machine.
insert into organization (id, slug, title, created_at)
select 'org_local', 'local', 'Local', created_at from project order by created_at limit 1;

insert into app_user (id, email, name, created_at)
select 'user_local', 'local@example.com', 'Local', created_at from project order by created_at limit 1;

insert into member (organization_id, user_id, role, created_at)
select 'org_local', 'user_local', 'OWNER', created_at from organization;

update project set organization_id = 'org_local', slug = ref;
update environment set owner_id = 'user_local', updated_at = created_at where type = 'DEVELOPMENT';

-- The token of the user of this machine was kept as it is; each start makes its own now.
delete from access_token;
delete from setting where name = 'local-access-token';
