<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use Illuminate\Database\Eloquent\Model;

/** A model with casts, dates, and its own table and key. */
final class EloquentOrder extends Model
{
    public $timestamps = false;

    public $incrementing = false;

    protected $table = 'spot_orders';

    protected $primaryKey = 'uuid';

    protected $keyType = 'string';

    protected $dateFormat = 'Y-m-d H:i:s';

    /** @var array<string, string> */
    protected $casts = ['meta' => 'array', 'is_maker' => 'boolean', 'placed_at' => 'datetime'];
}
