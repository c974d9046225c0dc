<?php

declare(strict_types=1);

namespace App;

use DateTimeImmutable;
use Doctrine\ORM\Mapping as ORM;

/** Its id comes from the program, not from the database, so the buffer can write it. */
#[ORM\Entity]
#[ORM\Table(name: 'visits')]
class Visit
{
    #[ORM\Id]
    #[ORM\Column]
    public string $id;

    #[ORM\Column]
    public DateTimeImmutable $at;

    public function __construct(#[ORM\Column] public string $page)
    {
        $this->id = bin2hex(random_bytes(16));
        $this->at = new DateTimeImmutable();
    }

    /** @return array<string, mixed> the row, for the buffer */
    public function toArray(): array
    {
        return ['id' => $this->id, 'at' => $this->at, 'page' => $this->page];
    }
}
