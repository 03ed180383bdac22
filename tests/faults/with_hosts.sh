#!/bin/sh
# Runs FUNCTION with HOSTS in the place of /etc/hosts, which nobody else sees. A user who is not root is root in there.
[ "$(id -u)" -eq 0 ] || set -- --map-root-user
exec unshare "$@" --mount /bin/sh -c 'mount --bind "$HOSTS" /etc/hosts && exec "$FUNCTION"'
