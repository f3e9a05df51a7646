"""The official TypeScript SDK, unmodified: environment variables."""

from __future__ import annotations

import pytest

from support.http import PROJECT
from support.npm import Official

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compat"), pytest.mark.timeout(600)]


def test_a_variable_is_created_read_updated_listed_and_deleted(official: Official):
    got = official(
        """
        const name = "ONE_" + given.version;
        const created = await envvars.create(given.ref, "dev", {name, value: "v1"});
        const read = await envvars.retrieve(given.ref, "dev", name);
        globalThis.name = name;  // outside of tasks the client's `update` takes the name from there, by mistake
        const updated = await envvars.update(given.ref, "dev", name, {value: "v2"});
        const listed = (await envvars.list(given.ref, "dev")).filter((one) => one.name === name);
        const deleted = await envvars.del(given.ref, "dev", name);
        return {created, read, updated, listed, deleted,
                gone: await failure(() => envvars.retrieve(given.ref, "dev", name))};
        """,
        ref=PROJECT,
        version=official.version.replace(".", "_"),
    )
    done = {"success": True}
    assert (got["created"], got["updated"], got["deleted"]) == (done, done, done)
    assert got["read"]["value"] == "v1"
    assert [one["value"] for one in got["listed"]] == ["v2"]
    assert (got["gone"]["name"], got["gone"]["status"]) == ("NotFoundError", 404)


def test_an_upload_writes_all_or_none_and_secrets_are_not_read_back(official: Official):
    got = official(
        """
        const [a, b] = ["A_" + given.version, "B_" + given.version];
        const first = await envvars.upload(given.ref, "dev", {variables: {[a]: "1"}});
        const refused = await failure(() => envvars.upload(given.ref, "dev", {variables: {[a]: "2", [b]: "2"}}));
        const between = (await envvars.list(given.ref, "dev")).filter((one) => [a, b].includes(one.name));
        const second = await envvars.upload(
          given.ref, "dev", {variables: {[a]: "2", [b]: "2"}, override: true, isSecret: true});
        const after = (await envvars.list(given.ref, "dev")).filter((one) => [a, b].includes(one.name));
        return {first, refused, between, second, after};
        """,
        ref=PROJECT,
        version=official.version.replace(".", "_"),
    )
    assert got["first"] == got["second"] == {"success": True}
    assert (got["refused"]["name"], got["refused"]["status"]) == ("BadRequestError", 400)
    assert [one["value"] for one in got["between"]] == ["1"]
    assert len(got["after"]) == 2
    assert not any(one["value"] in {"1", "2"} for one in got["after"])
