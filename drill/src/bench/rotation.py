"""A rotation function as a good engineer writes it in Python, for `make bench` to measure beside ours.

Its steps make the calls and send the statements that ours do: one login, a verifier in place of the password, a login with the new
password. What it leaves out (the overlap window, copies of grants, checks of the host, most errors) only makes it faster.
"""

import json
import os

import boto3
import psycopg
from psycopg import sql

SECRETS = boto3.client("secretsmanager")


def handler(event, _context):
    secret, token = event["SecretId"], event["ClientRequestToken"]
    labels = SECRETS.describe_secret(SecretId=secret)["VersionIdsToStages"]
    if "AWSCURRENT" in labels.get(token, []):
        return
    STEPS[event["Step"]](secret, token, labels)


def create(secret, token, _labels):
    document = read(secret, "AWSCURRENT")
    try:
        read(secret, "AWSPENDING", token)
        return
    except SECRETS.exceptions.ResourceNotFoundException:
        pass
    if "masterarn" in document:
        document["username"] = other(document["username"])
    password = SECRETS.get_random_password(PasswordLength=32, ExcludePunctuation=True)
    document["password"] = password["RandomPassword"]
    SECRETS.put_secret_value(
        SecretId=secret,
        ClientRequestToken=token,
        SecretString=json.dumps(document),
        VersionStages=["AWSPENDING"],
    )


def set_password(secret, token, _labels):
    pending, current = read(secret, "AWSPENDING", token), read(secret, "AWSCURRENT")
    if (pending["host"], pending["port"]) != (current["host"], current["port"]):
        raise ValueError("AWSPENDING names another server")
    administrator = current
    if "masterarn" in current:
        administrator = current | read(current["masterarn"], "AWSCURRENT")
    user = pending["username"]
    with connect(administrator) as connection:
        verifier = connection.pgconn.encrypt_password(
            pending["password"].encode(), user.encode(), b"scram-sha-256"
        ).decode()
        exists = "SELECT 1 FROM pg_roles WHERE rolname = %s"
        new = connection.execute(exists, [user]).fetchone() is None
        change = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}" if new else "ALTER ROLE {} PASSWORD {}")
        connection.execute(change.format(sql.Identifier(user), sql.Literal(verifier)))
        if new:
            grant = sql.SQL("GRANT {} TO {}")
            connection.execute(grant.format(sql.Identifier(current["username"]), sql.Identifier(user)))
    with connect(pending) as connection:
        connection.execute("SELECT 1")


def test(secret, token, _labels):
    with connect(read(secret, "AWSPENDING", token)) as connection:
        connection.execute("SELECT 1")


def finish(secret, token, labels):
    current = next(version for version, of in labels.items() if "AWSCURRENT" in of)
    SECRETS.update_secret_version_stage(
        SecretId=secret,
        VersionStage="AWSCURRENT",
        MoveToVersionId=token,
        RemoveFromVersionId=current,
    )


STEPS = {
    "createSecret": create,
    "setSecret": set_password,
    "testSecret": test,
    "finishSecret": finish,
}


def read(secret, stage, token=None):
    which = {"VersionStage": stage} | ({"VersionId": token} if token else {})
    return json.loads(SECRETS.get_secret_value(SecretId=secret, **which)["SecretString"])


def other(user):
    return user.removesuffix("_clone") if user.endswith("_clone") else user + "_clone"


def connect(document):
    return psycopg.connect(
        host=document["host"],
        port=document["port"],
        user=document["username"],
        password=document["password"],
        dbname=document["dbname"],
        sslmode="verify-full",
        sslrootcert=os.environ["TLS_CA_FILE"],
    )
