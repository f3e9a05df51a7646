-- name: organization_insert
-- A new organisation.
insert into organization ({OrganizationRow}) values ({:OrganizationRow});

-- name: organization_by_id
-- An organisation by its id.
select {OrganizationRow} from organization where id = :id;

-- name: organization_by_ref
-- An organisation by its id or slug.
select {OrganizationRow} from organization where id = :ref or slug = :ref;

-- name: organization_locked
-- An organisation, taken: its members change one after the other.
select id from organization where id = :id{lock};

-- name: organizations_of_user
-- The organisations a user belongs to, oldest first.
select {o.OrganizationRow} from organization o join member m on m.organization_id = o.id
where m.user_id = :user_id
order by o.created_at, o.id;

-- name: members_of
-- Everybody who belongs to an organisation, oldest first.
select m.user_id as user_id, p.email as email, p.name as name, m.role as role, m.created_at as created_at
from member m join app_user p on p.id = m.user_id
where m.organization_id = :organization_id
order by m.created_at, m.user_id;

-- name: member_delete
-- A member goes.
delete from member where organization_id = :organization_id and user_id = :user_id;

-- name: projects_of
-- The projects of organisations, oldest first; :organizations is a JSON array of ids.
select {ProjectRow} from project
where deleted_at is null and organization_id in (select value from {each :organizations})
order by created_at, id;

-- name: project_rename
-- Another name for a project.
update project set name = :name where id = :id;

-- name: project_initialize
-- When a folder was set up for a project first.
update project set initialized_at = :initialized_at where id = :id;

-- name: project_delete
-- A project is gone.
update project set deleted_at = :now where id = :id;

-- name: environments_archive
-- Everything of a project goes out of service.
update environment set archived_at = :now where project_id = :project_id and archived_at is null;

-- name: environments_of_owner_archive
-- What a user had in an organisation goes out of service.
update environment set archived_at = :now
where owner_id = :owner_id and archived_at is null
    and project_id in (select id from project where organization_id = :organization_id);

-- name: environments_of_project
-- The environments of a project that a member sees.
select {EnvironmentRow} from environment
where project_id = :project_id and archived_at is null and (owner_id is null or owner_id = :owner_id)
order by created_at, id;

-- name: branches_of
-- The branches of preview in service, the newest change first.
select id, branch as name, created_at, coalesce(updated_at, created_at) as updated_at, git, paused
from environment
where project_id = :project_id and type = 'PREVIEW' and parent_id is not null and archived_at is null
order by 4 desc, id;

-- name: environment_touch
-- Something about a branch is news.
update environment set git = coalesce(:git, git), updated_at = :now where id = :id;

-- name: user_insert
-- A new user.
insert into app_user ({UserRow}) values ({:UserRow});

-- name: user_by_id
-- A user by its id.
select {UserRow} from app_user where id = :id;

-- name: user_by_email
-- A user by the address, in lower case.
select {UserRow} from app_user where email = :email;

-- name: user_by_external_id
-- A user by who it is at the OpenID provider.
select {UserRow} from app_user where external_id = :external_id;

-- name: user_link
-- Who a user is at the OpenID provider.
update app_user set external_id = :external_id where id = :id;

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

-- name: access_tokens_of
-- The tokens of a user or of an organisation that hold, newest first.
select {AccessTokenRow} from access_token
where (user_id = :user_id or organization_id = :organization_id)
    and revoked_at is null and (expires_at is null or expires_at > :now)
order by created_at desc, id desc;

-- name: access_token_revoke
-- A token opens nothing any more.
update access_token set revoked_at = :now
where id = :id and (user_id = :user_id or organization_id = :organization_id) and revoked_at is null;

-- name: access_tokens_prune
-- Tokens of one name that nobody has used for long.
delete from access_token
where user_id = :user_id and name = :name and coalesce(last_used_at, created_at) < :before;

-- name: additional_key_insert
-- A key beside an environment's root key, as its hash.
insert into environment_key ({AdditionalKeyRow}) values ({:AdditionalKeyRow});

-- name: additional_key_by_hash
-- A key that holds.
select {AdditionalKeyRow} from environment_key
where key_hash = :key_hash and revoked_at is null and (expires_at is null or expires_at > :now);

-- name: additional_keys_of
-- The keys of an environment that hold, newest first.
select {AdditionalKeyRow} from environment_key
where environment_id = :environment_id and revoked_at is null and (expires_at is null or expires_at > :now)
order by created_at desc, id desc;

-- name: additional_key_revoke
-- A key opens nothing any more.
update environment_key set revoked_at = :now
where id = :id and environment_id = :environment_id and revoked_at is null;

-- name: additional_key_used
-- When a key was used last.
update environment_key set last_used_at = :now
where key_hash = :key_hash and coalesce(last_used_at, 0) <= :before;

-- name: retired_key_insert
-- A root key was replaced.
insert into retired_key (key_hash, environment_id, sealed, expires_at)
values (:key_hash, :environment_id, :sealed, :expires_at);

-- name: retired_key_opens
-- The environment that a replaced key still opens.
select {e.EnvironmentRow} from retired_key r join environment e on e.id = r.environment_id
where r.key_hash = :key_hash and r.expires_at > :now and e.archived_at is null;

-- name: retired_keys_of
-- The replaced keys of an environment, as they are sealed, whose signatures still hold.
select sealed from retired_key where environment_id = :environment_id and expires_at > :now;

-- name: retired_keys_to_reseal
-- Replaced keys that another key than the newest has sealed.
select environment_id as id, cast(null as text) as parent_id, sealed as secret_key_sealed from retired_key
where sealed < :first or sealed >= :beyond;

-- name: retired_key_reseal
-- The same replaced key, sealed anew.
update retired_key set sealed = :sealed where sealed = :before;

-- name: retired_keys_prune
-- Replaced keys whose time is over.
delete from retired_key where expires_at <= :now;

-- name: environment_rekey
-- Another root key for an environment.
update environment set secret_key_hash = :secret_key_hash, secret_key_sealed = :secret_key_sealed
where id = :id;

-- name: environment_tokens_since
-- Public tokens of an environment and its branches that were signed earlier are refused.
update environment set tokens_since = :now where id = :id or parent_id = :id;

-- name: revoked_token_put
-- A public token is refused from now on, until it expires.
insert into revoked_token (environment_id, name, expires_at) values (:environment_id, :name, :expires_at)
on conflict (environment_id, name) do update set expires_at = excluded.expires_at
where revoked_token.expires_at < excluded.expires_at;

-- name: environment_revokes
-- One of its public tokens is revoked, so they are looked up.
update environment set revoking_until = :expires_at where id = :id and revoking_until < :expires_at;

-- name: revoked_tokens_among
-- Whether a public token is revoked, by either of its names.
select 1 from revoked_token
where environment_id = :environment_id and name in (:id, :digest) and expires_at > :now limit 1;

-- name: used_token_insert
-- A token for one use is used; the second time nothing is written.
insert into used_token (token, expires_at) values (:token, :expires_at) on conflict do nothing;

-- name: used_tokens_prune
-- Tokens that nobody could use any more.
delete from used_token where expires_at <= :now;

-- name: worker_group_insert
-- A new group of supervisors.
insert into worker_group ({WorkerGroupRow}) values ({:WorkerGroupRow});

-- name: worker_group_by_token
-- The group a token is of.
select {WorkerGroupRow} from worker_group where token_hash = :token_hash;

-- name: worker_group_by_name
-- A group by its name.
select {WorkerGroupRow} from worker_group where name = :name;

-- name: worker_group_rotate
-- Another token for a group.
update worker_group set token_hash = :token_hash, updated_at = :now where id = :id;

-- name: worker_group_delete
-- A group is gone.
delete from worker_group where id = :id;

-- name: worker_groups
-- Every group, by name.
select {WorkerGroupRow} from worker_group order by name;

-- name: worker_group_newest
-- When a supervisor was last heard of.
select max(last_heartbeat_at) from worker_group;

-- name: worker_group_seen
-- A supervisor of the group said that it is alive.
update worker_group set last_heartbeat_at = :now where id = :id;

-- name: user_admin
-- Whether a user is an admin of this server.
update app_user set is_admin = :is_admin where id = :id;

-- name: user_password
-- What is kept of a user's password.
update app_user set password_hash = :password_hash where id = :id;

-- name: admins_with_password
-- How many admins of this server can log in.
select count(*) from app_user where is_admin = 1 and (password_hash is not null or external_id is not null);

-- name: login_session_insert
-- A browser logged in.
insert into login_session (token_hash, user_id, expires_at, created_at)
values (:token_hash, :user_id, :expires_at, :now);

-- name: login_session_user
-- Whose session this is.
select {p.UserRow} from login_session s join app_user p on p.id = s.user_id
where s.token_hash = :token_hash and s.expires_at > :now;

-- name: login_session_end
-- A browser logged out.
delete from login_session where token_hash = :token_hash;

-- name: login_sessions_end
-- A user is logged out everywhere.
delete from login_session where user_id = :user_id;

-- name: login_sessions_prune
-- Sessions whose time is over.
delete from login_session where expires_at <= :now;

-- name: login_attempt_count
-- Another try to log in; the first one begins to count.
insert into login_attempt (key_hash, attempts, expires_at) values (:key_hash, 1, :expires_at)
on conflict (key_hash) do update set attempts = login_attempt.attempts + 1
returning attempts;

-- name: login_attempt_forget
-- A try that was right counts for nothing.
update login_attempt set attempts = attempts - 1 where key_hash = :key_hash and attempts > 0;

-- name: login_attempts_prune
-- Tries of long ago.
delete from login_attempt where expires_at <= :now;

-- name: invitation_put
-- A user may join an organisation; an earlier invitation is good no more.
insert into invitation ({InvitationRow}) values ({:InvitationRow})
on conflict (organization_id, user_id) do update set
    token_hash = excluded.token_hash, role = excluded.role,
    expires_at = excluded.expires_at, created_at = excluded.created_at;

-- name: invitation_by_hash
-- An invitation that holds.
select {InvitationRow} from invitation where token_hash = :token_hash and expires_at > :now;

-- name: invitation_delete
-- An invitation was accepted, or taken back.
delete from invitation where organization_id = :organization_id and user_id = :user_id;

-- name: invitations_prune
-- Invitations whose time is over.
delete from invitation where expires_at <= :now;

-- name: user_is_somebody
-- Whether an account can be used, was given anything, or is invited elsewhere.
select count(*) from app_user p
where p.id = :id and (
    p.password_hash is not null or p.external_id is not null or p.is_admin = 1
    or exists (select 1 from member m where m.user_id = p.id)
    or exists (select 1 from access_token t where t.user_id = p.id)
    or exists (select 1 from invitation i where i.user_id = p.id and i.organization_id <> :organization_id)
);

-- name: authorization_code_insert
-- A command line asks to act for a user.
insert into authorization_code ({AuthorizationCodeRow}) values ({:AuthorizationCodeRow});

-- name: authorization_code_by_hash
-- A code that waits.
select {AuthorizationCodeRow} from authorization_code where code_hash = :code_hash and expires_at > :now;

-- name: authorization_code_approve
-- The first to approve a code wins.
update authorization_code set user_id = :user_id where code_hash = :code_hash and user_id is null;

-- name: authorization_code_delete
-- A code is used.
delete from authorization_code where code_hash = :code_hash;

-- name: authorization_codes_prune
-- Codes whose time is over.
delete from authorization_code where expires_at <= :now;

-- name: authorization_codes_waiting
-- How many codes wait.
select count(*) from authorization_code;
