<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Database\Eloquent\Model;
use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/** A model whose key the database makes, by auto-increment. */
final class CountedOrder extends Model
{
    use BuffersWrites;

    public $timestamps = false;

    protected $table = 'counted_orders';

    protected $guarded = [];
}
