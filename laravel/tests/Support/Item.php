<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Database\Eloquent\Model;

/** A model without this package's trait. Each of a pair has a table of its own. */
class Item extends Model
{
    public $incrementing = false;

    protected $table = 'wb_items';

    protected $keyType = 'string';

    protected $guarded = [];

    protected $casts = [
        'quantity' => 'integer', 'is_open' => 'boolean', 'tags' => 'array', 'point' => PointCast::class, 'due_at' => 'datetime',
    ];
}
