<?php

declare(strict_types=1);

namespace App;

use Doctrine\Persistence\Event\LifecycleEventArgs;
use WriteBuffer\Buffer;

/** Writes down what changed, once Doctrine has committed it. */
final class AuditLog
{
    /** @var list<array<string, mixed>> */
    private array $rows = [];

    public function __construct(private readonly Buffer $buffer)
    {
    }

    public function preFlush(): void
    {
        $this->rows = [];                               // of a flush that failed
    }

    public function postUpdate(LifecycleEventArgs $event): void
    {
        $customer = $event->getObject();
        $changes = $event->getObjectManager()->getUnitOfWork()->getEntityChangeSet($customer);
        foreach ($changes as $field => [$old, $new]) {
            $this->rows[] = ['customer_id' => $customer->id, 'field' => $field, 'old' => $old, 'new' => $new];
        }
    }

    public function postFlush(): void
    {
        $this->buffer->put('audit', $this->rows);       // one group; an empty list is none
    }
}
