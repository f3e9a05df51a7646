-- What is told of a deployment when it begins: who runs its machines, what for, and what began it.

alter table deployment add column type text not null default 'MANAGED';
alter table deployment add column runtime text;
alter table deployment add column image_platform text not null default 'linux/amd64';
alter table deployment add column triggered_via text;

create index deployment_newest on deployment (environment_id, created_at, id);
