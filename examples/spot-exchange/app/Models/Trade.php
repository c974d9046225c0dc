<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/** A row of `trades`: one fill of a maker's order by a taker's. Amounts are strings, as in {@see Order}. */
class Trade extends Model
{
    public $incrementing = false;

    public $timestamps = false;

    protected $guarded = [];
}
