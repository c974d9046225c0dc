<?php

// A proxy: passes on what comes to a port of this machine, until it is killed. So a server can be
// down and come back.
//
//   php proxy.php PORT TARGET_HOST TARGET_PORT [FROM TO]
//
// With 0 for PORT it takes any port. Its first line says which.
// With FROM and TO, of the same length, it replaces FROM by TO in what the client says.

declare(strict_types=1);

[, $port, $host, $targetPort] = $argv;
[$from, $to] = [$argv[4] ?? '', $argv[5] ?? ''];
if (strlen($from) !== strlen($to)) {
    exit(1);
}
$context = stream_context_create(['socket' => ['so_reuseaddr' => true, 'tcp_nodelay' => true]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$server = stream_socket_server("tcp://127.0.0.1:{$port}", $code, $message, $flags, $context);
if ($server === false) {
    exit(1);
}
echo 'port ', substr((string) strrchr((string) stream_socket_get_name($server, false), ':'), 1), "\n";
$sockets = $partners = $clients = [];
while (true) {
    $read = [$server, ...array_values($sockets)];
    $write = $except = null;
    stream_select($read, $write, $except, null);
    foreach ($read as $ready) {
        if ($ready === $server) {
            $client = stream_socket_accept($server);
            $target = stream_socket_client("tcp://{$host}:{$targetPort}");
            if ($client !== false && $target !== false) {
                $sockets[(int) $client] = $partners[(int) $target] = $client;
                $clients[(int) $client] = true;
                $sockets[(int) $target] = $partners[(int) $client] = $target;
            }
            continue;
        }
        if (!isset($sockets[(int) $ready])) {
            continue;
        }
        $partner = $partners[(int) $ready];
        $chunk = fread($ready, 65_536);
        if ($from !== '' && isset($clients[(int) $ready])) {
            $chunk = str_replace($from, $to, (string) $chunk);
        }
        if ($chunk === false || $chunk === '' || @fwrite($partner, $chunk) !== strlen($chunk)) {
            foreach ([$ready, $partner] as $socket) {
                unset($sockets[(int) $socket], $partners[(int) $socket], $clients[(int) $socket]);
                fclose($socket);
            }
        }
    }
}
