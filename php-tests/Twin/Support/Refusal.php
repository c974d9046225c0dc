<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** A row that the package refuses by a documented rule. */
final class Refusal extends \RuntimeException
{
}
