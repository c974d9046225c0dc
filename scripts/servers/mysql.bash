#!/usr/bin/env bash
# What scripts/with-server and scripts/guard-server need to know of MySQL; they source it. `folder` is the server's.
#
# The server lives in the tree that scripts/fetch-mysql made, by chroot, without anything mounted in it. Its own folder is
# in the tree, /srv/NAME, with links to it from `folder`: a socket's path can be shorter by a link, and the kernel follows it.
# Root starts it as nobody; everybody else by a user namespace of their own, in which the server is they.
# shellcheck disable=SC2154 # the scripts that source it set folder and root

readonly NOBODY=65534

# Fails, and says what to do, where the server cannot be run. What fetch-mysql says and exits with is passed on.
need_server() {
    MYSQL_TREE=$(bash "$root/scripts/fetch-mysql") || exit
    export MYSQL_TREE
    if [[ $EUID -ne 0 ]] && ! unshare --user --map-root-user true 2>/dev/null; then
        fail 'MySQL is run by chroot: run this as root, or on a kernel that gives users namespaces of their own'
    fi
}

in_tree() {
    local become=(chroot --userspec="$NOBODY:$NOBODY")
    if [[ $EUID -ne 0 ]]; then
        become=(unshare --user --map-root-user chroot)
    fi
    exec "${become[@]}" "$MYSQL_TREE" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# What the server's defaults are is left to them: durability, the binary log, collations, caching_sha2_password.
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
        # The namespace's root is the user who made it.
        echo 'user = root' >>"$MYSQL_TREE$inside/my.cnf"
    fi
    account_statements >"$MYSQL_TREE$inside/init.sql"
    if [[ $EUID -eq 0 ]]; then
        chown -R "$NOBODY:$NOBODY" "$MYSQL_TREE$inside"
    fi
    ln -s "$MYSQL_TREE$inside/data" "$MYSQL_TREE$inside/server.sock" "$folder/"
}

create_data() {
    # The account root@localhost that it makes is one of the socket: no name is resolved, so none is `localhost` over TCP.
    (in_tree timeout "$INSTALL_TIMEOUT_S" mysqld --defaults-file="$inside/my.cnf" --initialize-insecure) \
        >"$folder/install.log" 2>&1 || fail 'mysqld --initialize-insecure failed' "$folder/install.log"
}

# Becomes the server: the process that calls it, and no child of it. Changing the user would make the kernel forget
# whose death is to be told, so that comes last.
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
