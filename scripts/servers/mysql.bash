#!/usr/bin/env bash
# How to run a MySQL server. scripts/with-server and scripts/guard-server source it, and `folder` is
# the server's.
#
# The server runs by chroot in the tree of scripts/fetch-mysql, where nothing is mounted. Its own
# folder is /srv/NAME in the tree, and `folder` links to it: the path of a socket must be short, and
# the kernel follows links. Root starts the server as nobody; other users start it as themselves, in
# a user namespace.
# shellcheck disable=SC2154 # the scripts that source it set folder and root

readonly NOBODY=65534

# Fails if the server cannot run, and says what to do. If fetch-mysql fails, its message and exit
# code count.
need_server() {
    MYSQL_TREE=$(bash "$root/scripts/fetch-mysql") || exit
    export MYSQL_TREE
    if [[ $EUID -ne 0 ]] && ! unshare --user --map-root-user true 2>/dev/null; then
        fail 'MySQL runs by chroot: run this as root, or on a kernel that lets users make namespaces'
    fi
}

in_tree() {
    local become=(chroot --userspec="$NOBODY:$NOBODY")
    if [[ $EUID -ne 0 ]]; then
        become=(unshare --user --map-root-user chroot)
    fi
    exec "${become[@]}" "$MYSQL_TREE" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Keeps the server's defaults: durability, the binary log, collations, caching_sha2_password.
write_configuration() {
    inside=/srv/$(basename "$folder")
    mkdir -m 700 "$MYSQL_TREE$inside"
    mkdir -m 700 "$MYSQL_TREE$inside/tmp"
    cp -r "$folder/tls" "$MYSQL_TREE$inside/tls"
    cat >"$MYSQL_TREE$inside/my.cnf" <<CNF
[client]
socket = $inside/server.sock
user = root

[mysqld]
datadir = $inside/data
socket = $inside/server.sock
pid-file = $inside/server.pid
tmpdir = $inside/tmp
secure-file-priv = $inside/tmp
bind-address = 127.0.0.1
mysqlx = OFF
skip-name-resolve
max-connections = 100
ssl-ca = $inside/tls/ca.pem
ssl-cert = $inside/tls/server-cert.pem
ssl-key = $inside/tls/server-key.pem
CNF
    if [[ $EUID -ne 0 ]]; then
        # Root in the namespace is the user who made it.
        echo 'user = root' >>"$MYSQL_TREE$inside/my.cnf"
    fi
    account_statements >"$MYSQL_TREE$inside/init.sql"
    if [[ $EUID -eq 0 ]]; then
        chown -R "$NOBODY:$NOBODY" "$MYSQL_TREE$inside"
    fi
    ln -s "$MYSQL_TREE$inside/data" "$MYSQL_TREE$inside/server.sock" "$folder/"
}

create_data() {
    # It makes an account root@localhost, which only the socket reaches: with skip-name-resolve no
    # TCP connection is from `localhost`.
    (in_tree timeout "$INSTALL_TIMEOUT_S" mysqld --defaults-file="$inside/my.cnf" --initialize-insecure) \
        >"$folder/install.log" 2>&1 || fail 'mysqld --initialize-insecure failed' "$folder/install.log"
}

# The calling process becomes the server, so its process id is the server's. setpriv comes last: the
# kernel forgets --pdeathsig if the user changes.
exec_server() {
    in_tree setpriv --pdeathsig TERM mysqld --defaults-file="$inside/my.cnf" --init-file="$inside/init.sql" --port="$1"
}

answers() {
    (in_tree mysql --defaults-file="$inside/my.cnf" --connect-timeout=5 --execute='SELECT 1' write_buffer_test) \
        >/dev/null 2>&1
}

remove_data() {
    rm -rf "${inside:+$MYSQL_TREE$inside}" "$folder"
}
