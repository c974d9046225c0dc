<?php

declare(strict_types=1);

use App\{OrderPlaced, SaveOrders};
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\Messenger\{Envelope, MessageBus, Worker};
use Symfony\Component\Messenger\EventListener\StopWorkerOnMessageLimitListener;
use Symfony\Component\Messenger\Handler\HandlersLocator;
use Symfony\Component\Messenger\Middleware\HandleMessageMiddleware;
use Symfony\Component\Messenger\Transport\InMemoryTransport;

require __DIR__ . '/bootstrap.php';
require 'Symfony/Component/Messenger/autoload.php';     // of Debian's package; yours is vendor/autoload.php
require 'Symfony/Component/EventDispatcher/autoload.php';
require __DIR__ . '/App/OrderPlaced.php';
require __DIR__ . '/App/SaveOrders.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'));
$bus = new MessageBus([
    new HandleMessageMiddleware(new HandlersLocator([OrderPlaced::class => [new SaveOrders($buffer)]])),
]);

$queue = new InMemoryTransport();
for ($id = 1; $id <= 25; $id++) {
    $queue->send(new Envelope(new OrderPlaced($id, "customer {$id}", $id === 13 ? 'much' : "{$id}.50")));
}

$events = new EventDispatcher();
$events->addSubscriber(new StopWorkerOnMessageLimitListener(25));
(new Worker(['orders' => $queue], $bus, $events))->run();

echo count($queue->getAcknowledged()), ' acknowledged, ', count($queue->getRejected()), " rejected\n";
