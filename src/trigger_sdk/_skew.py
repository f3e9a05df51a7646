"""Skew protection: which version the program that triggers was deployed with, read from its environment.

``TRIGGER_VERSION`` locks runs to a version. ``TRIGGER_EXTERNAL_DEPLOYMENT_ID`` names a deployment by the
caller's own id; with ``TRIGGER_AUTOMATIC_SKEW_VERSION_PROTECTION=1`` that is the commit, as hosts and CI
systems tell it. Inside a run none of this counts: there the run's own version does.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["discover"]

_LENGTH = 128
_VERSION = "TRIGGER_VERSION"
_ID = "TRIGGER_EXTERNAL_DEPLOYMENT_ID"
_AUTOMATIC = "TRIGGER_AUTOMATIC_SKEW_VERSION_PROTECTION"
_HOSTS = (
    "VERCEL_GIT_COMMIT_SHA",
    "RAILWAY_GIT_COMMIT_SHA",
    "RENDER_GIT_COMMIT",
    "CF_PAGES_COMMIT_SHA",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "KOYEB_GIT_SHA",
    "AWS_COMMIT_ID",
    "COMMIT_REF",
)
_CI = (
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "CIRCLE_SHA1",
    "BITBUCKET_COMMIT",
    "BUILDKITE_COMMIT",
    "BUILD_SOURCEVERSION",
    "TRAVIS_COMMIT",
)
_COMMON = ("COMMIT_SHA", "COMMIT_HASH", "GIT_COMMIT", "GIT_SHA", "GIT_HASH")


def discover(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the options that the environment stands for: a version, else an external id, else nothing."""
    version = environ.get(_VERSION, "").strip()
    if version:
        return {"lockToVersion": version}
    is_automatic = environ.get(_AUTOMATIC, "").strip().lower() in {"1", "true"}
    names = (_ID, *_HOSTS, *_CI, *_COMMON) if is_automatic else (_ID,)
    for name in names:
        found = environ.get(name, "").strip()
        if 0 < len(found) <= _LENGTH:
            return {"externalDeploymentId": found}
    return {}
