"""How a user says where object storage is."""

from __future__ import annotations


def s3_at(address: str) -> dict[str, str]:
    """The variables by which a user names an S3 server."""
    return {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


def gs_at(address: str) -> dict[str, str]:
    """The variable by which a user names a server that stands in for Google's."""
    return {"STORAGE_EMULATOR_HOST": address}
