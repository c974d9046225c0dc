#!/usr/bin/env bash
# How to run a MariaDB server. scripts/with-server and scripts/guard-server source it, and `folder`
# is the server's.
# shellcheck disable=SC2034,SC2154 # the scripts that source it use and set them

# need_programs GROUP: fails if a program of MariaDB is missing, and says how to install it.
need_programs() {
    local tool
    for tool in mariadbd mariadb-install-db mariadb; do
        command -v "$tool" >/dev/null || fail "$tool is missing; run: scripts/install-packages $1"
    done
}

# Fails if the server cannot run, and says what to do.
need_server() {
    need_programs test
    # Only the tests of ed25519 accounts need the plugins; fetch-mariadb-plugins says why if there
    # are none. A surrounding server has set the variable already.
    if [[ ! -v MARIADB_PLUGINS ]]; then
        MARIADB_PLUGINS=$(bash "$root/scripts/fetch-mariadb-plugins") || MARIADB_PLUGINS=
    fi
    export MARIADB_PLUGINS
}

# common_configuration BUFFER_POOL LOG_FILE: the settings of every MariaDB server, alone or in a
# cluster, by the size of two parts. The durability settings are the server's defaults: a benchmark
# without them would show nothing.
common_configuration() {
    cat <<CNF
[client]
socket = $folder/server.sock
user = root

[mariadbd]
datadir = $folder/data
socket = $folder/server.sock
pid-file = $folder/server.pid
log-error = $folder/server.log
tmpdir = $folder/tmp
secure-file-priv = $folder/tmp
bind-address = 127.0.0.1
skip-name-resolve
user = $(id -un)
character-set-server = utf8mb4
collation-server = utf8mb4_general_ci
innodb-flush-log-at-trx-commit = 1
innodb-buffer-pool-size = $1
innodb-log-file-size = $2
max-connections = 100
performance-schema = OFF
CNF
}

# The server executes these before it listens: no root account is ever reachable over TCP.
initial_statements() {
    echo "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');"
    echo 'FLUSH PRIVILEGES;'
    account_statements
}

# One file for the server, its installation and its client, so that none of them reads the machine's
# own settings.
write_configuration() {
    {
        common_configuration 128M 96M
        cat <<CNF
init-file = $folder/init.sql
ssl-ca = $folder/tls/ca.pem
ssl-cert = $folder/tls/server-cert.pem
ssl-key = $folder/tls/server-key.pem
CNF
        if [[ $MARIADB_PLUGINS ]]; then
            printf '%s\n' "plugin-dir = $MARIADB_PLUGINS" 'plugin-load-add = auth_ed25519'
        fi
    } >"$folder/my.cnf"
    initial_statements >"$folder/init.sql"
}

# install_data [OPTION…]: creates the system tables.
# shellcheck disable=SC2119,SC2120 # galera.bash passes options
install_data() {
    # --force: in a bare chroot not even localhost resolves; the server uses its address.
    timeout "$INSTALL_TIMEOUT_S" mariadb-install-db --defaults-file="$folder/my.cnf" --force "$@" \
        --auth-root-authentication-method=normal --skip-name-resolve --skip-test-db \
        >"$folder/install.log" 2>&1 || fail 'mariadb-install-db failed' "$folder/install.log"
}

# shellcheck disable=SC2119 # no options
create_data() {
    mkdir "$folder/data" "$folder/tmp"
    install_data
}

# The calling process becomes the server, so its process id is the server's.
exec_server() {
    exec setpriv --pdeathsig TERM mariadbd --defaults-file="$folder/my.cnf" --port="$1"
}

answers() {
    mariadb --defaults-file="$folder/my.cnf" --connect-timeout=5 --execute='SELECT 1' write_buffer_test \
        >/dev/null 2>&1
}

remove_data() {
    rm -rf "$folder"
}
