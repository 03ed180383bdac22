"""Logs in with psycopg through a rotation of a single user, whose password changes before its new version is AWSCURRENT.

Needs psycopg 3. AWS_TOKEN is the agent's token, and AGENT its address.
"""

import json
import os
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psycopg

AGENT, HEADERS = os.environ.get("AGENT", "http://localhost:2773"), {"X-Aws-Parameters-Secrets-Token": os.environ["AWS_TOKEN"]}
NAMES = {"host": "host", "port": "port", "dbname": "dbname", "user": "username", "password": "password"}


def ask(method: str, path: str, **query) -> dict:
    with urlopen(Request(f"{AGENT}{path}?{urlencode(query, doseq=True)}", method=method, headers=HEADERS)) as answer:
        return json.load(answer)


def connect(secret_id: str) -> psycopg.Connection:
    """Only a wrong password is a rejection. Each one excludes its version, so this ends: with a login, or with the agent's 409."""
    version, rejected = ask("GET", "/secretsmanager/get", secretId=secret_id), []
    while True:
        secret = json.loads(version["SecretString"])
        try:
            return psycopg.connect("", sslmode="verify-full", **{name: secret[key] for name, key in NAMES.items()})
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):  # a failed login of psycopg has no SQLSTATE
                raise
            rejected.append(version["VersionId"])
            version = ask("POST", "/rotating-secret/rejected", secretId=secret_id, versionId=rejected)
