"""An engine of SQLAlchemy that follows rotations: each new connection logs in with the user and the password that are current then.

Needs SQLAlchemy 2, psycopg and boto3. AWS_ENDPOINT_URL_SECRETS_MANAGER leads boto3 to the agent.
"""

import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from sqlalchemy import Engine, create_engine, event

secrets = boto3.client("secretsmanager", config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}))
NAMES = {"host": "host", "port": "port", "dbname": "dbname", "user": "username", "password": "password"}
last = {}


def engine(secret_id: str, **settings) -> Engine:
    """An open connection outlives a rotation, for `pool_recycle` seconds. The ping drops one that the server has closed."""
    made = create_engine("postgresql+psycopg://", **{"pool_recycle": 3600, "pool_pre_ping": True} | settings)

    @event.listens_for(made, "do_connect")
    def log_in(dialect, record, arguments, parameters):
        # all of one version; the agent answers from its cache; while it is away, the last version serves
        try:
            last[secret_id] = json.loads(secrets.get_secret_value(SecretId=secret_id)["SecretString"])
        except BotoCoreError:  # no answer; a refusal is a ClientError
            if secret_id not in last:
                raise
        secret = last[secret_id]
        parameters.update(sslmode="verify-full", **{name: secret[key] for name, key in NAMES.items() if key in secret})

    return made
