<?php

declare(strict_types=1);

use App\Visit;
use Doctrine\DBAL\DriverManager;
use Doctrine\DBAL\Tools\DsnParser;
use Doctrine\ORM\{EntityManager, ORMSetup};

require __DIR__ . '/bootstrap.php';
require 'Doctrine/ORM/autoload.php';                    // of Debian's package; yours is vendor/autoload.php
require __DIR__ . '/App/Visit.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'));
$entities = new EntityManager(
    DriverManager::getConnection((new DsnParser(['mysql' => 'pdo_mysql']))->parse(getenv('DATABASE_URL'))),
    ORMSetup::createAttributeMetadataConfiguration([__DIR__ . '/App'], isDevMode: true),
);

for ($item = 1; $item <= 1_000; $item++) {
    $buffer->put('visits', new Visit("/items/{$item}"));        // in the place of persist()
}
$buffer->flush();                                       // from here on Doctrine finds them

$visit = $entities->getRepository(Visit::class)->findOneBy(['page' => '/items/1000']);
echo "{$visit->id} {$visit->page}\n";
