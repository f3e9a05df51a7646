-- name: variables_of
-- The variables of an environment and of its parent, in the order of their names.
select {VariableRow} from environment_variable
where environment_id = :environment_id or environment_id = :parent_id
order by name;

-- name: variable_insert
-- A new variable.
insert into environment_variable ({VariableRow}) values ({:VariableRow});

-- name: variable_update
-- Another value in the place of a variable's.
update environment_variable set
    sealed = :sealed, is_secret = :is_secret, version = :version, source = :source, updated_at = :updated_at
where environment_id = :environment_id and name = :name;

-- name: variable_delete
-- Remove a variable.
delete from environment_variable where environment_id = :environment_id and name = :name;

-- name: environment_secrets_changed
-- Let everybody who hides the secrets of an environment, or of a branch of it, look at them again.
update environment set secrets_version = secrets_version + 1 where id = :id or parent_id = :id;

-- name: variables_to_reseal
-- Values that another key than the newest has sealed, after a variable of an environment.
select {SealedVariableRow} from environment_variable
where (environment_id > :environment_id or (environment_id = :environment_id and name > :name))
    and (sealed < :first or sealed >= :beyond)
order by environment_id, name limit :limit;

-- name: variable_reseal
-- The same value, sealed anew, unless it is another one by now.
update environment_variable set sealed = :sealed
where environment_id = :environment_id and name = :name and sealed = :before;
