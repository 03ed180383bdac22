"""A pool of psycopg that follows rotations: each new connection logs in with the user and the password that are current then.

Needs psycopg, psycopg_pool 3.3 and boto3. AWS_ENDPOINT_URL_SECRETS_MANAGER leads boto3 to the agent.
"""

import json

import boto3
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

secrets = boto3.client("secretsmanager")
NAMES = {"host": "host", "port": "port", "dbname": "dbname", "user": "username", "password": "password"}


def login(secret_id: str) -> str:
    """All of one version. The agent answers from its cache."""
    secret = json.loads(secrets.get_secret_value(SecretId=secret_id)["SecretString"])
    return make_conninfo("", sslmode="verify-full", **{name: secret[key] for name, key in NAMES.items()})


def pool(secret_id: str, **settings) -> ConnectionPool:
    """An open connection outlives a rotation, for `max_lifetime` seconds. The check drops one that the server has closed."""
    settings = {"max_lifetime": 3600, "check": ConnectionPool.check_connection} | settings
    return ConnectionPool(lambda: login(secret_id), open=True, **settings)
