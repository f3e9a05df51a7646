-- Public tokens that were revoked one by one, until they expire.
create table revoked_token (
    environment_id text not null references environment (id),
    -- What the token is known by: its id, or the digest of what was signed.
    name text not null,
    expires_at bigint not null,
    primary key (environment_id, name)
){clustered};

create index revoked_token_expiry on revoked_token (expires_at);

-- When the last of them expires: until then, who shows a public token is looked up there.
alter table environment add column revoking_until bigint not null default 0;

-- Answers to requests that made something outside any environment, for whom repeats them.
create table kept_answer (
    -- Who asked.
    owner text not null,
    scope text not null,
    token text not null,
    -- JSON; sealed where it shows a secret.
    answer text not null,
    expires_at bigint not null,
    primary key (owner, scope, token)
){clustered};

create index kept_answer_expiry on kept_answer (expires_at);

-- Blobs that lie elsewhere and whose size nobody has looked at.
create index blob_unmeasured on blob (created_at) where size is null and removed_at is null;
