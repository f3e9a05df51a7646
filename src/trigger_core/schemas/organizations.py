"""Organisations and their members (protocol A.20; members are an addition of ours)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trigger_core.schemas.base import WireList, WireModel

__all__ = [
    "AddMember",
    "CreateOrganization",
    "Member",
    "MemberAdded",
    "Members",
    "OrganizationDetail",
    "Organizations",
    "RoleName",
    "SetRole",
]

RoleName = Literal["VIEWER", "DEVELOPER", "ADMIN", "OWNER"]


class OrganizationDetail(WireModel):
    """An organisation."""

    id: str
    title: str
    slug: str
    created_at: str


class Organizations(WireList[OrganizationDetail]):
    """Organisations."""


class CreateOrganization(WireModel):
    """An organisation to be."""

    title: str = Field(min_length=1, max_length=255)


class Member(WireModel):
    """A user who belongs to an organisation."""

    user_id: str
    email: str
    name: str | None = None
    role: RoleName
    created_at: str


class Members(WireModel):
    """Everybody who belongs to an organisation."""

    members: list[Member]


class AddMember(WireModel):
    """Somebody to be admitted."""

    email: str = Field(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")
    role: RoleName = "DEVELOPER"


class MemberAdded(WireModel):
    """Somebody who was added.

    The address is for the person alone: who was not known here chooses a password there, and who has an
    account joins the organisation there and is no member before.
    """

    user_id: str
    role: RoleName
    is_member: bool
    invite_url: str | None = None


class SetRole(WireModel):
    """Another role for a member."""

    role: RoleName
