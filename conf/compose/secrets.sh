#!/bin/sh
# Make the secrets of compose.yaml, a file each in ./secrets, with passwords by chance; what is there already is left.
# Containers read them as other users, so the files are open to all, and the folder to nobody else of this machine.
set -eu
umask 022
mkdir -p secrets
chmod 700 secrets

by_chance() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
make() { [ -e "secrets/$1" ] || printf %s "$2" >"secrets/$1"; }

for name in postgres_password mariadb_password grafana_password; do make $name "$(by_chance)"; done
make database_url "postgresql://sereno:$(cat secrets/postgres_password)@postgres:5432/sereno"
make source_url "mysql://reader:$(cat secrets/mariadb_password)@mariadb:3306/asteriskcdrdb"
