<?php

declare(strict_types=1);

use App\{AuditLog, Customer};
use Doctrine\Common\EventManager;
use Doctrine\DBAL\DriverManager;
use Doctrine\DBAL\Tools\DsnParser;
use Doctrine\ORM\{EntityManager, Events, ORMSetup};

require __DIR__ . '/bootstrap.php';
require 'Doctrine/ORM/autoload.php';                    // of Debian's package; yours is vendor/autoload.php
require __DIR__ . '/App/AuditLog.php';
require __DIR__ . '/App/Customer.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'));

$events = new EventManager();
$events->addEventListener([Events::preFlush, Events::postUpdate, Events::postFlush], new AuditLog($buffer));
$entities = new EntityManager(
    DriverManager::getConnection((new DsnParser(['mysql' => 'pdo_mysql']))->parse(getenv('DATABASE_URL'))),
    ORMSetup::createAttributeMetadataConfiguration([__DIR__ . '/App'], isDevMode: true),
    $events,
);

$ada = new Customer('Ada', 'London');                   // Doctrine saves what needs an id at once
$entities->persist($ada);
$entities->persist(new Customer('Grace', 'Arlington'));
$entities->flush();

$ada->city = 'Turin';
$ada->name = 'Ada Lovelace';
$entities->flush();                                     // the changes are two rows of the buffer
