"""A pool of psycopg that follows rotations: each new connection logs in with the user and the password that are current then.

Needs psycopg, psycopg_pool 3.3 and boto3. AWS_ENDPOINT_URL_SECRETS_MANAGER leads boto3 to the agent.
"""

import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

secrets = boto3.client("secretsmanager", config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}))
NAMES = {"host": "host", "port": "port", "dbname": "dbname", "user": "username", "password": "password"}
last = {}


def login(secret_id: str) -> str:
    """All of one version. The agent answers from its cache. While it is away, the last version serves."""
    try:
        last[secret_id] = json.loads(secrets.get_secret_value(SecretId=secret_id)["SecretString"])
    except BotoCoreError:  # no answer; a refusal is a ClientError
        if secret_id not in last:
            raise
    secret = last[secret_id]
    return make_conninfo("", sslmode="verify-full", **{name: secret[key] for name, key in NAMES.items() if key in secret})


def pool(secret_id: str, **settings) -> ConnectionPool:
    """An open connection outlives a rotation, for `max_lifetime` seconds. The check drops one that the server has closed."""
    settings = {"max_lifetime": 3600, "check": ConnectionPool.check_connection} | settings
    return ConnectionPool(lambda: login(secret_id), open=True, **settings)
