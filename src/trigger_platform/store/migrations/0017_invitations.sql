-- Who was invited and has not come yet, and how often somebody tried to log in lately.

-- The token is in the link that the inviter hands over; whoever has the link and the account joins.
create table invitation (
    token_hash text primary key,
    organization_id text not null references organization (id),
    user_id text not null references app_user (id),
    role text not null,
    expires_at bigint not null,
    created_at bigint not null,
    unique (organization_id, user_id)
);

create index invitation_user on invitation (user_id);
create index invitation_expiry on invitation (expires_at);

-- Counted by a hash of what was tried and from where; many processes count together.
create table login_attempt (
    key_hash text primary key,
    attempts integer not null,
    expires_at bigint not null
);

create index login_attempt_expiry on login_attempt (expires_at);
