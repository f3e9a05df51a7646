"""What a server must have before others than this machine may reach it."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from trigger_core.errors import UsageError
from trigger_platform.settings import Settings

__all__ = ["refuse_unsafe", "warnings"]

_SHORTEST = 32
_FEWEST_CHARACTERS = 10
_MAKE_ONE = "`openssl rand -base64 32` makes one"


def refuse_unsafe(settings: Settings) -> None:
    """Refuse to serve others without secrets, or with ones that anybody could guess.

    Raises:
        UsageError: everything that is missing, and how to mend it.
    """
    missing = list(_missing(settings)) if settings.is_public else []
    if missing:
        raise UsageError(
            "this server is not ready for a public address",
            code="UNSAFE_EXPOSURE",
            because="; ".join(what for what, _ in missing),
            hint="; ".join(mend for _, mend in missing) + "; or listen on 127.0.0.1 alone",
        )


def warnings(settings: Settings) -> Iterator[str]:
    """Yield what is allowed and yet dangerous."""
    if settings.is_public and settings.public_url and settings.public_url.startswith("http://"):
        yield f"{settings.public_url} is not encrypted: keys can be read on the way. Use https."


def _missing(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and how to mend it."""
    if settings.public_url is None:
        yield (
            "it does not know by which name it is called",
            "set TRIGGER_PUBLIC_URL, such as https://trigger.example.com",
        )
    if settings.encryption_key is None:
        yield (
            "there is no key that encrypts secrets",
            f"set TRIGGER_ENCRYPTION_KEY ({_MAKE_ONE})",
        )
    elif _is_guessable(settings.encryption_key):
        yield (
            f"TRIGGER_ENCRYPTION_KEY is no random text of {_SHORTEST} characters or more",
            f"set another ({_MAKE_ONE})",
        )

    if settings.metrics_token is not None and _is_guessable(settings.metrics_token):
        yield (
            f"TRIGGER_METRICS_TOKEN is no random text of {_SHORTEST} characters or more",
            f"set another ({_MAKE_ONE})",
        )


def _is_guessable(secret: SecretStr) -> bool:
    """Tell whether somebody wrote it by hand, or copied it from an example."""
    text = secret.get_secret_value()
    return len(text) < _SHORTEST or len(set(text)) < _FEWEST_CHARACTERS
