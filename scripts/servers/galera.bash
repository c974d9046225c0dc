#!/usr/bin/env bash
# How to run a node of a Galera cluster. scripts/with-server and scripts/guard-server source it, and
# `folder` is the node's. scripts/with-galera starts the nodes, with GALERA_NODE from 1 on and
# GALERA_GROUP_PORTS.
#
# The first start of the first node makes the cluster. Every other start joins it: the node gets
# what it missed, or all data by scripts/galera/wsrep_sst_copy.
# shellcheck disable=SC2154 # the scripts that source it set folder, password and the timeouts

readonly PROVIDERS=(/usr/lib/galera/libgalera_smm.so /usr/lib/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so)
readonly NODE_COUNT=3
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A node is a MariaDB server; what follows replaces what differs.
# shellcheck source=scripts/servers/mariadb.bash
. "$scripts/servers/mariadb.bash"

provider() {
    local file
    for file in "${PROVIDERS[@]}"; do
        if [[ -e $file ]]; then
            echo "$file"
            return 0
        fi
    done
    return 1
}

# Fails if the node cannot run, and says what to do.
need_server() {
    need_programs galera
    provider >/dev/null || fail 'the library of Galera is missing; run: scripts/install-packages galera'
    [[ ${GALERA_NODE:-} && ${GALERA_GROUP_PORTS:-} ]] || fail 'a node needs its cluster: use scripts/with-galera'
}

write_configuration() {
    local ports peers
    read -ra ports <<<"$GALERA_GROUP_PORTS"
    peers=$(printf ',127.0.0.1:%s' "${ports[@]:0:NODE_COUNT}")
    {
        common_configuration 64M 48M
        cat <<CNF
innodb-autoinc-lock-mode = 2
binlog-format = ROW
wsrep-on = ON
wsrep-provider = $(provider)
wsrep-cluster-name = $(basename "$folder" | sed 's/\..*//')
wsrep-cluster-address = gcomm://${peers#,}
wsrep-node-name = node-$GALERA_NODE
wsrep-node-address = 127.0.0.1:${ports[GALERA_NODE - 1]}
wsrep-sst-method = copy
wsrep-provider-options = "gmcast.listen_addr=tcp://127.0.0.1:${ports[GALERA_NODE - 1]}; ist.recv_addr=127.0.0.1:${ports[NODE_COUNT + GALERA_NODE - 1]}; gcache.size=64M"
CNF
    } >"$folder/my.cnf"
    initial_statements >"$folder/init.sql"
}

makes_cluster() {
    [[ $GALERA_NODE -eq 1 && ! -e $folder/ready ]]
}

create_data() {
    mkdir "$folder/data" "$folder/tmp"
    if makes_cluster; then
        install_data --wsrep-on=OFF
    fi
}

# Prints the last position of a node that was killed; nothing if it has no data.
recovered_position() {
    if [[ -e $folder/data/ibdata1 ]]; then
        : >"$folder/recovery.log"
        setpriv --pdeathsig KILL mariadbd --defaults-file="$folder/my.cnf" --wsrep-recover --skip-networking \
            --log-error="$folder/recovery.log" >/dev/null 2>&1 || true
        sed -n 's/.*WSREP: Recovered position:[[:space:]]*//p' "$folder/recovery.log" | tail -n 1
    fi
}

# The calling process becomes the server, so its process id is the server's.
exec_server() {
    local port=$1 position options=()
    export PATH=$scripts/galera:$PATH
    if makes_cluster; then
        options=(--wsrep-new-cluster --init-file="$folder/init.sql")
    else
        position=$(recovered_position)
        options=(${position:+"--wsrep-start-position=$position"})
    fi
    exec setpriv --pdeathsig TERM mariadbd --defaults-file="$folder/my.cnf" --port="$port" "${options[@]}"
}

answers() {
    local ready="SELECT 1 FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_ready' AND VARIABLE_VALUE = 'ON'"
    [[ $(mariadb --defaults-file="$folder/my.cnf" --connect-timeout=5 --batch --skip-column-names --execute="$ready" \
        write_buffer_test 2>/dev/null) == 1 ]]
}
