"""Sends requests through a recipe until its input ends. Prints a line when the login changes, and at the end what failed."""

import sys
import threading

recipe, secret = sys.argv[1:]
if recipe == "pool_of_psycopg":
    from pool_of_psycopg import pool

    made = pool(secret, min_size=1, max_size=1, max_lifetime=0.1)
    connect = made.connection
elif recipe == "login_after_rejection":
    from login_after_rejection import connect as log_in

    connect = lambda: log_in(secret)
else:
    from engine_of_sqlalchemy import engine
    from sqlalchemy import text

    connect = engine(secret, pool_size=1, max_overflow=0, pool_recycle=0.1).connect

ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
question = "SELECT session_user"
question = text(question) if recipe == "engine_of_sqlalchemy" else question
requests, failures, seen = 0, [], None
while not ended.is_set():
    requests += 1
    try:
        with connect() as connection:
            user = connection.execute(question).fetchone()[0]
            if recipe == "login_after_rejection":
                user += f" {hash(connection.info.password)}"  # the user stays
        if user != seen:
            seen = user
            print(user, flush=True)
    except Exception as error:
        failures.append(str(error))
print(f"{len(failures)} of {requests} requests failed {failures[:1]}", flush=True)
