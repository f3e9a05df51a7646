-- name: organization_insert
-- A new organisation.
insert into organization ({OrganizationRow}) values ({:OrganizationRow});

-- name: organization_by_id
-- An organisation by its id.
select {OrganizationRow} from organization where id = :id;

-- name: user_insert
-- A new user.
insert into app_user ({UserRow}) values ({:UserRow});

-- name: user_by_id
-- A user by its id.
select {UserRow} from app_user where id = :id;

-- name: member_put
-- A user belongs to an organisation, with a role from now on.
insert into member (organization_id, user_id, role, created_at)
values (:organization_id, :user_id, :role, :now)
on conflict (organization_id, user_id) do update set role = excluded.role;

-- name: member_role
-- The role a user has in an organisation.
select role from member where organization_id = :organization_id and user_id = :user_id;

-- name: access_token_insert
-- A token of a user or of an organisation, as its hash.
insert into access_token ({AccessTokenRow}) values ({:AccessTokenRow});

-- name: access_token_by_hash
-- A token that holds.
select {AccessTokenRow} from access_token
where token_hash = :token_hash and revoked_at is null and (expires_at is null or expires_at > :now);

-- name: access_token_used
-- When a token was used last.
update access_token set last_used_at = :now where id = :id;

-- name: access_tokens_prune
-- Tokens of one name that nobody has used for long.
delete from access_token
where user_id = :user_id and name = :name and coalesce(last_used_at, created_at) < :before;
